"""The synthesis plan: which images to make, decided in full before any is sampled.

Every draw is addressed by (run seed, class, index), so a class's images in a small plan are its first ones in
a large plan, and any number of processes in any order makes the same images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.checks import whole
from src.data.prompts import Prompts
from src.errors import InputError
from src.seeds import derive, numpy_generator

FILL = ("add", "up_to")


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One image to make: its class, its number within the class, its seed, and what it is conditioned on."""

    label: int
    index: int
    seed: int
    prompt: str
    source: int | None = None
    """Position of the conditioning image among the real training images, or None for text alone."""
    group: int | None = None


def synthesis_plan(
    counts: Sequence[int],
    per_class: int,
    fill: str,
    seed: int,
    prompts: Prompts,
    *,
    modified: bool = False,
    labels: np.ndarray | None = None,
) -> list[PlannedImage]:
    """Return the plan, indices outermost, so that every prefix of it is as balanced as it can be.

    counts: real training images per class; per_class: how many images to make for each class with fill="add",
    or to have in each class, real ones included, with fill="up_to"; modified: draw a modifier for each prompt
    (SYNAuG); labels: (N,) of the real training images, if each planned one is to be conditioned on one of its
    class. Raises InputError for an unknown fill, an impossible per_class, a class without prompt or image.
    """
    needed = _needed(counts, per_class, fill)
    if len(prompts) != len(counts):
        raise InputError(f"the prompt file names {len(prompts)} classes, the data has {len(counts)}; make them agree")
    sources = None if labels is None else [np.flatnonzero(labels == label) for label in range(len(counts))]
    for label, members in enumerate(sources or []):
        if len(members) == 0 and needed[label]:
            raise InputError(f"class {label} has no real image to condition on; set synth.conditioning to text")

    def planned(label: int, index: int) -> PlannedImage:
        place = (seed, label, index)
        prompt = prompts.modified(label, numpy_generator("modifier", *place)) if modified else prompts.plain(label)
        source = None
        if sources is not None:
            source = int(numpy_generator("source", *place).choice(sources[label]))
        return PlannedImage(label, index, derive("image", *place), prompt, source)

    classes = range(len(counts))
    return [planned(label, index) for index in range(max(needed)) for label in classes if index < needed[label]]


def _needed(counts: Sequence[int], per_class: int, fill: str) -> list[int]:
    if fill not in FILL:
        raise InputError(f"unknown synth.fill '{fill}'; known: {', '.join(FILL)}")
    if whole("synth.per_class", per_class) < 1:
        raise InputError(f"synth.per_class={per_class} makes no images; set it to at least 1")
    if fill == "add":
        return [per_class] * len(counts)
    if per_class < max(counts):
        raise InputError(
            f"synth.per_class={per_class} is below the head count {max(counts)}, which cannot be filled up "
            "to it; raise it, or set synth.fill=add to make that many for every class"
        )
    if per_class == min(counts):
        raise InputError(f"every class has synth.per_class={per_class} images already; raise it")
    return [per_class - count for count in counts]
