"""Stage synth_synaug: sample the generator on text alone, with a modifier per image (SYNAuG, step 1)."""

from src.data.names import read_names
from src.generators.fitting.methods import load_fitted
from src.runtime.processes import device
from src.settings.provenance import run
from src.settings.sections import Params
from src.shards.store import Shards
from src.synthesis.conditioning import Conditioning
from src.synthesis.fitted_prompts import prompts_for
from src.synthesis.plan import synthesis_plan
from src.synthesis.pool import one_step_synthesiser
from src.synthesis.production import synthesise
from src.synthesis.synthesiser import Synthesiser
from src.synthesis.translation import Translation


def synthesiser(params: Params) -> Synthesiser:
    """Text alone, "a photo of a {modifier} {class}"; real images tell how many of each class there are, or where to
    begin. A fitted generator is told what it was fitted under, no modifier: those ask for what it has unlearnt."""
    names, real = read_names("data/real"), Shards("data/real/train")
    prompts = prompts_for(params, names)
    kind, size = params.synaug.translation, min(real.image(0).shape[:2])
    plan = synthesis_plan(
        params.budget, real.labels, real.contexts, names, params.seed, prompts, conditioned=False,
        modified=params.generator.fit is None,
        translation=kind,
    )  # fmt: skip
    if of_one_step := one_step_synthesiser(params, plan, size, names):
        return of_one_step
    generator = load_fitted(params.generator, device())
    translation = None if kind == "none" else Translation(generator, real.images(), params.synaug.strength)
    return Synthesiser(
        generator, params.generator, plan, Conditioning(generator, plan, "text"), size=size, translation=translation
    )


def main() -> None:
    synthesise("synth_synaug", synthesiser)


if __name__ == "__main__":
    run("synth_synaug", main, shared=True, arguments=False)
