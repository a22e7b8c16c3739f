"""Stage measure_difficulty: how hard real, unguided and guided images are for the base classifier.

By the feedback's criterion and by the loss, which tells where feedback helps, into metrics/difficulty.json: of the
validation images and, of some of the planned ones, as they came out and as they would have without guide.
"""

from collections.abc import Sequence

import numpy as np

from src.data.labelled_images import image_counts
from src.data.names import read_names
from src.feedback.classifier_criterion import values_of
from src.feedback.difficulty import difficulty, units
from src.runtime.files import write_json
from src.runtime.processes import device
from src.settings.params import load
from src.settings.provenance import run
from src.settings.schema import changed
from src.settings.sections import FeedbackSettings, Params
from src.shards.lazy_images import subset
from src.shards.store import Shards
from src.synthesis.guided_arm import criterion_of, synthesiser
from src.synthesis.synthesiser import cut

LOSS = "loss"
IMAGES = 120  # made again without guide, of all classes alike


def main() -> None:
    params = load("synth_guided")  # whose images are measured
    names, held_out, guided = read_names("data/real"), Shards("data/real/val"), Shards("data/synth/guided")
    compared, width = units(
        {kind: (shards.labels, shards.contexts) for kind, shards in (("real", held_out), ("guided", guided))}, names
    )
    places = spread(len(guided), len(np.unique(compared["guided"])) * params.feedback.cohort)
    images = {"real": held_out.images(), "unguided": subset(guided.images(), places)}
    if steered(params):
        images = {"real": images["real"], "unguided": without_guide(params, places), "guided": images["unguided"]}
    labels = {kind: held_out.labels if kind == "real" else guided.labels[places] for kind in images}
    counts = image_counts(Shards("data/real/train"), names)[0]
    here = {kind: compared["real"] if kind == "real" else compared["guided"][places] for kind in images}
    report = {}
    for settings in judging(params.feedback):
        value = criterion_of(settings, names)
        judged = {kind: (values_of(value, some, labels[kind], device()), here[kind]) for kind, some in images.items()}
        report[settings.criterion] = difficulty(judged, counts, width)
    write_json("metrics/difficulty.json", report)


def judging(feedback: FeedbackSettings) -> list[FeedbackSettings]:
    """The preset, if it asks a classifier, and by the loss: entropy does not warn where hardness harms."""
    own = [] if feedback.criterion in ("none", "chamfer", LOSS) else [feedback]
    return [*own, changed(feedback, criterion=LOSS)]


def steered(params: Params) -> bool:
    """Whether the images are others than they would be without feedback."""
    return params.feedback.criterion != "none" and (params.feedback.scale != 0 or params.feedback.candidates > 1)


def spread(images: int, units: int) -> np.ndarray:
    """Places of about IMAGES planned images: the first ones of each class or group or, of many, of some of them."""
    first = min(images, max(IMAGES, units))
    return np.linspace(0, first - 1, min(first, IMAGES)).round().astype(int)


def without_guide(params: Params, places: Sequence[int] | np.ndarray) -> np.ndarray:
    """The planned images at these places, uint8 (N, H, W, 3), from their own seeds and conditions."""
    maker = synthesiser(params).unguided()
    parts = cut([maker.plan[i] for i in places], params.synth.shard_size)
    return np.stack([image for part in parts for image, _ in maker(part)])


if __name__ == "__main__":
    run("measure_difficulty", main, arguments=False)
