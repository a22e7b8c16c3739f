"""Stage synth_synaug: sample the generator on text alone, with a modifier per image (SYNAuG, step 1)."""

from pathlib import Path

from src.runtime.entry import run_stage

from src.data.names import read_names
from src.generators.loading import load as load_generator
from src.generators.model_folder import folders_of
from src.runtime.files import hash_tree, write_json
from src.runtime.processes import device
from src.runtime.scratch import Scratch, shared
from src.settings.params import Params, load
from src.shards.contact_sheet import sheet_by_class
from src.shards.store import Shards
from src.synthesis.budget import plan_for
from src.synthesis.production import cost_of, write_plan
from src.synthesis.prompts import Prompts
from src.synthesis.synthesiser import Synthesiser, settings_from

OUT = Path("data/synth/synaug")


def inputs(params: Params) -> list[str]:
    """The files and folders whose contents decide the images."""
    data = ["data/real/train", "data/real/names.json", f"prompts/{params.dataset}.yaml"]
    return [*data, *folders_of(params.generator.as_dict())]


def main() -> None:
    params = load("synth_synaug")
    key = {"inputs": [hash_tree(path) for path in inputs(params)], **params.as_dict()}
    with shared("synth_synaug", key, OUT) as scratch:
        if scratch is not None:  # there is still work
            make(params, scratch)


def make(params: Params, scratch: Scratch) -> None:
    names, real, synth = read_names("data/real"), Shards("data/real/train"), params.synth
    prompts = Prompts(f"prompts/{params.dataset}.yaml", names.classes, names.contexts)
    plan = plan_for(
        params.budget, real.labels, real.contexts, names, params.seed, prompts, conditioned=False, modified=True
    )
    settings = settings_from(params.generator, "text", 0.0)
    generator = load_generator(params.generator.as_dict(), device())

    size, shards = real.image(0).shape[0], scratch.path / "shards"
    synthesiser = Synthesiser(generator, settings, plan, size=size)
    if write_plan(synthesiser, plan, synth.shard_size, shards, "text-only images", synth.image_format):
        cost = cost_of(synthesiser, plan, scratch.path / "cost", generator=params.generator.name)
        write_json("metrics/cost/synaug.json", cost)
        sheet_by_class("metrics/sheets/synaug.png", Shards(shards), prompts.classes, real.labels)
        scratch.publish("shards", OUT)


if __name__ == "__main__":
    run_stage(main, shared=True, arguments=False)
