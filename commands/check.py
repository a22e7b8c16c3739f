"""Command check: what a data set would give, before anything is made of it. Every image is read once.

python -m commands.check                                            # the data set and generator of params.yaml
python -m commands.check --dataset folder --generator sd21_unclip   # others

Classes and splits with the images that would be made, copies and what is left out, what the test split can tell, and
the hours and gigabytes that it would take. What a stage would refuse is refused here in the same words.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from src.classifiers.models import build
from src.data.datasets import prepare
from src.data.prepared_data import PreparedData
from src.evaluation.power import weak_tests
from src.runtime.entry import run_stage, tell
from src.runtime.files import read_json
from src.runtime.markdown import markdown_table
from src.runtime.pipeline import read_mapping
from src.runtime.processes import device
from src.settings.params import resolve
from src.settings.sections import TINY, TINY_OF, GeneratorSettings, Params
from src.studies.paper import PEAK, SHARE, guided_hours, text_hours
from src.synthesis.cost import seconds
from src.synthesis.plan import synthesis_plan
from src.synthesis.preflight import check_all
from src.synthesis.prompts import Prompts
from src.training.arms import image_size

SHOWN = 30  # classes in the table
TIMED = 16  # images of the step that is timed
PATIENCE = 30  # minutes, beyond which a smaller classifier is named


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset")
    parser.add_argument("--generator")
    options = parser.parse_args()
    chosen = {name: value for name, value in vars(options).items() if value is not None}
    pipeline, everything = read_mapping(Path("dvc.yaml")), {**read_mapping(Path("params.yaml")), **chosen}
    params = resolve("prepare_lt", pipeline, everything)
    data = prepare(params.data, params.seed)
    made = {arm: planned(data, resolve(f"synth_{arm}", pipeline, everything), arm) for arm in ("guided", "synaug")}
    print(table(data, made["guided"]))
    for line in (*data.notes, *weak_tests(data.test_counts, data.counts)):
        tell(line)
    images = {arm: sum(counts.values()) for arm, counts in made.items()}
    print(f"{images['guided']:,} images to make in the guided arm, {images['synaug']:,} in SYNAuG's")
    chosen = {name: everything[name] for name in ("generator", "feedback")}
    guided = resolve("synth_guided", pipeline, everything)
    print(cost(guided.generator, chosen, images))
    print(guided_steps(guided))
    base, retrain = resolve("train_base", pipeline, everything), resolve("retrain", pipeline, everything, "guided")
    print(training(base, retrain, data, params.data.image_size, images))
    stored = sum(len(source) for source in data.splits.values()) + sum(images.values())
    gigabytes = stored * 3 * params.data.image_size**2 / 1e9
    print(f"at most {gigabytes:.2g} GB of images under data/, without the generator's weights")
    check_all(pipeline, everything)
    print("nothing here would be refused: `dvc repro` can begin")


def planned(data: PreparedData, params: Params, arm: str) -> Counter[int]:
    """How many images of every class the arm would make."""
    real, text = data.splits["train"], arm == "synaug"
    conditioned = not text and params.synth.conditioning != "text"
    prompts = Prompts(f"prompts/{params.dataset}.yaml", data.names.classes, data.names.contexts)
    plan = synthesis_plan(
        params.budget, real.labels, real.contexts, data.names, params.seed, prompts, conditioned=conditioned,
        modified=text,
    )  # fmt: skip
    return Counter(image.label for image in plan)


def table(data: PreparedData, made: Counter[int]) -> str:
    """Images of every class by split, and to make, the rarest class first; as many as fit."""
    labels = {name: data.splits[name].labels for name in ("train", "val", "test")}
    counts = {name: np.bincount(numbers, minlength=len(data.counts)) for name, numbers in labels.items()}
    order = np.argsort(counts["train"], kind="stable").tolist()
    rows = [
        {"class": data.class_names[k], **{name: count[k] for name, count in counts.items()}, "to make": made[k]}
        for k in order[:SHOWN]
    ]
    more = f"and {len(order) - SHOWN} more classes, up to {max(data.counts):,} training images\n"
    return markdown_table(rows, ["class", *counts, "to make"]) + (more if len(order) > SHOWN else "")


def cost(generator: GeneratorSettings, chosen: dict[str, str], images: dict[str, int]) -> str:
    """How long sampling would take: of a shipped generator by the last run's measurement, else by counted operations.

    chosen: the presets of generator and feedback.
    """
    if generator.one_step:
        return "sampling takes no time to speak of: an image is taken from a folder, or made in one step"
    if generator.path in (TINY, *(own["path"] for own in TINY_OF.values())):
        files = {arm: Path(f"metrics/cost/{arm}.json") for arm in images}
        if not all(file.exists() for file in files.values()):
            return "how long sampling takes is not known here yet: `dvc repro measure_cost` measures it"
        takes = sum(read_json(file)["seconds_per_image"] * images[arm] for arm, file in files.items())
        return f"about {takes / 60:.0f} minutes of sampling on the machine of metrics/cost"
    hours = guided_hours(chosen, images["guided"]) + text_hours(chosen, images["synaug"])
    return f"about {hours:.2g} hours of sampling at {SHARE * PEAK:.0f} TFLOP/s, as a large GPU of today reaches"


def guided_steps(params: Params) -> str:
    """Which steps feedback guides. Presets count steps, and mean others where a generator takes more of them."""
    steps = range(params.generator.steps)
    guided = [str(step) for step in steps if params.feedback.guides(step)] if not params.generator.one_step else []
    which = f": {', '.join(guided)}" if guided else ""
    return f"feedback '{params.feedback.name}' guides {len(guided)} of {len(steps)} steps{which}"


def training(base: Params, retrain: Params, data: PreparedData, stored: int, images: dict[str, int]) -> str:
    """How long the four classifiers would take, from a step of a few images of `stored` pixels on this machine."""
    recipe, classes = base.recipe, len(data.counts)
    model = build(recipe.model, classes, image_size(recipe, stored), 0).to(device()).train()
    count = min(recipe.batch, TIMED)
    x = torch.zeros(count, 3, *[int(model.config["image_size"])] * 2, device=device())

    def step() -> None:
        cross_entropy(model(x), torch.zeros(count, dtype=torch.int64, device=device())).backward()

    each = seconds(step, device(), warm=True)
    real = len(data.splits["train"])
    longer = recipe.longer(retrain.retrain.length)
    steps = recipe.steps_for(real) + recipe.steps_for(len(data.splits["pool"]))
    steps += sum(longer.steps_for(real + made) for made in images.values())
    minutes = steps * each * recipe.batch / count / 60
    text = f"about {minutes:,.0f} minutes of training four times {recipe.model} on this machine, {steps:,} steps in all"
    slow = device().type == "cpu" and minutes > PATIENCE and recipe.model != "small_cnn"
    return text + (f"; without a GPU recipes.{recipe.name}.model=small_cnn takes a fraction of that" if slow else "")


if __name__ == "__main__":
    run_stage(main)
