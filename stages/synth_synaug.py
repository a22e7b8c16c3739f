"""Stage synth_synaug: sample the generator on text alone, with a modifier per image (SYNAuG, step 1)."""

from pathlib import Path

import numpy as np

from src.data.plan import synthesis_plan
from src.data.prompts import Prompts
from src.errors import run_stage
from src.files import hash_tree
from src.generators.synthesis import Synthesiser, settings_from, write_plan
from src.generators.unclip import load as load_generator
from src.parallel import device
from src.params import load
from src.report import synthetic_sheet
from src.scratch import Scratch
from src.shards import Shards


def main() -> None:
    params = load("synth_synaug")
    counts = np.bincount(Shards("data/real/train").labels).tolist()
    prompts = Prompts(Path("prompts") / f"{params.dataset}.yaml")
    plan = synthesis_plan(counts, params.synth.per_class, params.synth.fill, params.seed, prompts, modified=True)
    settings = settings_from(params.generator, "text", 0.0)
    generator = load_generator(params.generator.path, params.generator.revision, device())

    files = [f"prompts/{params.dataset}.yaml"]
    # A generator from a hub has no folder here; its path and revision, which are parameters, name it.
    files += [params.generator.path] * Path(params.generator.path).exists()
    inputs = [hash_tree(path) for path in files]
    scratch = Scratch("synth_synaug", {"inputs": inputs, "counts": counts, **params.as_dict()})
    synthesiser = Synthesiser(generator, settings, plan)
    if write_plan(synthesiser, plan, params.synth.shard_size, scratch.path / "shards", "text-only images"):
        synthetic_sheet("metrics/sheets/synaug.png", Shards(scratch.path / "shards"), prompts.classes)
        scratch.publish("shards", Path("data/synth/synaug"))


if __name__ == "__main__":
    run_stage(main, shared=True)
