"""Stage synth_synaug: sample the generator on text alone, with a modifier per image (SYNAuG, step 1)."""

from pathlib import Path

from src.data.budget import plan_for
from src.data.names import read_names
from src.data.prompts import Prompts
from src.errors import run_stage
from src.files import hash_tree, write_json
from src.generators.folder import folders_of
from src.generators.loading import load as load_generator
from src.generators.shard_plan import cost_of, write_plan
from src.generators.synthesis import Synthesiser, settings_from
from src.parallel import device
from src.params import load
from src.report import synthetic_sheet
from src.scratch import Scratch
from src.shards import Shards


def main() -> None:
    params = load("synth_synaug")
    names, real = read_names("data/real"), Shards("data/real/train")
    prompts = Prompts(f"prompts/{params.dataset}.yaml", names.classes, names.contexts)
    plan = plan_for(
        params.budget, real.labels, real.contexts, names, params.seed, prompts, conditioned=False, modified=True
    )
    settings = settings_from(params.generator, "text", 0.0)
    generator = load_generator(params.generator.as_dict(), device())

    files = [
        "data/real/train",
        "data/real/names.json",
        f"prompts/{params.dataset}.yaml",
        *folders_of(params.generator.as_dict()),
    ]
    inputs = [hash_tree(path) for path in files]
    scratch = Scratch("synth_synaug", {"inputs": inputs, **params.as_dict()})
    synthesiser = Synthesiser(generator, settings, plan, size=real.image(0).shape[0])
    if write_plan(synthesiser, plan, params.synth.shard_size, scratch.path / "shards", "text-only images"):
        cost = cost_of(synthesiser, plan, scratch.path / "cost", generator=params.generator.name)
        write_json("metrics/cost/synaug.json", cost)
        synthetic_sheet("metrics/sheets/synaug.png", Shards(scratch.path / "shards"), prompts.classes)
        scratch.publish("shards", Path("data/synth/synaug"))


if __name__ == "__main__":
    run_stage(main, shared=True)
