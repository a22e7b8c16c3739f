"""Stage synth_synaug: sample the generator on text alone, with a modifier per image (SYNAuG, step 1)."""

from src.data.names import read_names
from src.generators.loading import load as load_generator
from src.runtime.entry import run_stage
from src.runtime.processes import device
from src.settings.provenance import unmoved
from src.settings.sections import Params
from src.shards.store import Shards
from src.synthesis.conditioning import Conditioning
from src.synthesis.plan import synthesis_plan
from src.synthesis.production import synthesise
from src.synthesis.prompts import Prompts
from src.synthesis.synthesiser import Synthesiser


def synthesiser(params: Params) -> Synthesiser:
    """Text alone, "a photo of a {modifier} {class}"; real images only tell how many of each class there are."""
    names, real = read_names("data/real"), Shards("data/real/train")
    prompts = Prompts(f"prompts/{params.dataset}.yaml", names.classes, names.contexts)
    plan = synthesis_plan(
        params.budget, real.labels, real.contexts, names, params.seed, prompts, conditioned=False, modified=True
    )
    generator = load_generator(params.generator, device())
    conditioning = Conditioning(generator, plan, "text")
    return Synthesiser(generator, params.generator, plan, conditioning, size=min(real.image(0).shape[:2]))


def main() -> None:
    synthesise("synth_synaug", synthesiser)


if __name__ == "__main__":
    run_stage(unmoved("synth_synaug", main), shared=True, arguments=False)
