"""Stage synth_guided: sample the generator on text and real images under the base classifier's feedback."""

from pathlib import Path

from src.runtime.entry import run_stage

from src.classifiers.models import load as load_classifier
from src.data.names import read_names
from src.feedback.classifier_criterion import feedback_value
from src.feedback.guidance import Schedule
from src.generators.loading import load as load_generator
from src.generators.model_folder import folders_of
from src.runtime.errors import InputError
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

OUT = Path("data/synth/guided")


def inputs(params: Params) -> list[str]:
    """The files and folders whose contents decide the images."""
    data = ["data/real/train", "data/real/names.json", "data/base", f"prompts/{params.dataset}.yaml"]
    return [*data, *folders_of(params.generator.as_dict())]


def main() -> None:
    params = load("synth_guided")
    key = {"inputs": [hash_tree(path) for path in inputs(params)], **params.as_dict()}
    with shared("synth_guided", key, OUT) as scratch:
        if scratch is not None:  # there is still work
            make(params, scratch)


def make(params: Params, scratch: Scratch) -> None:
    names, real, synth = read_names("data/real"), Shards("data/real/train"), params.synth
    prompts, images = Prompts(f"prompts/{params.dataset}.yaml", names.classes, names.contexts), real.images()
    plan = plan_for(
        params.budget, real.labels, real.contexts, names, params.seed, prompts,
        conditioned=synth.conditioning != "text", modified=False,
    )  # fmt: skip
    settings = settings_from(params.generator, synth.conditioning, synth.image_dropout)
    generator = load_generator(params.generator.as_dict(), device())
    classifier = load_classifier("data/base")
    if classifier.config["classes"] != len(names.classes):
        raise InputError(
            f"data/base tells {classifier.config['classes']} classes apart, the data has {len(names.classes)}; "
            "run `dvc repro train_base` to train it on this data"
        )
    value = feedback_value(params.feedback, classifier, images, real.labels, device())
    schedule = Schedule.from_mapping(params.feedback)

    size, shards, feedback = images.shape[1], scratch.path / "shards", params.feedback
    synthesiser = Synthesiser(
        generator, settings, plan, images, value, schedule, feedback.decoder, size, feedback.candidates
    )
    if write_plan(synthesiser, plan, synth.shard_size, shards, "guided images", synth.image_format):
        chosen = {"generator": params.generator.name, "feedback": feedback.name}
        write_json("metrics/cost/guided.json", cost_of(synthesiser, plan, scratch.path / "cost", **chosen))
        sheet_by_class("metrics/sheets/guided.png", Shards(shards), prompts.classes, real.labels)
        scratch.publish("shards", OUT)


if __name__ == "__main__":
    run_stage(main, shared=True, arguments=False)
