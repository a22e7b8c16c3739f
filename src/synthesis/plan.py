"""The synthesis plan: which images to make, decided in full before any is sampled.

Every draw is addressed by (run seed, class, index), or (run seed, class, context, index) where groups are balanced, so
a class's images in a small plan are its first ones in a large plan, but for a last cohort that is cut short, and any
number of processes in any order makes the same images.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from src.data.grouping import BALANCE, indices_by_key
from src.data.names import Names
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.runtime.seeds import derive, numpy_generator
from src.settings.sections import Budget
from src.synthesis.prompts import Prompts

FILL = ("add", "up_to")
EMPTY_GROUP = ("class", "text")
TRANSLATIONS = ("none", "intra_class", "inter_class")


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One image to make: its class, its number within the class or group, its seed, and what it is conditioned on."""

    label: int
    index: int
    seed: int
    prompt: str
    source: int | None = None
    """Position of the conditioning image among the real training images, or None for text alone."""
    context: int | None = None
    """What the image is meant to show: its group's; else the context that its prompt names or its source has."""
    partner: int | None = None
    """Position of a second real image of the class or group, whose embedding is mixed with that of the first."""
    start: int | None = None
    """Position of the real image whose noised latents it begins from, or None for noise alone."""
    cohort: int | None = None
    """What the images of its class, or group, that are made together with it have in common; None: it is made alone."""
    rank: float | None = None
    """In [0, 1): the place among real images, the easiest first, whose criterion it is matched to; None for none."""


def synthesis_plan(
    budget: Budget, labels: np.ndarray, contexts: np.ndarray | None, names: Names, seed: int, prompts: Prompts, *,
    conditioned: bool, modified: bool, mixed: bool = False, cohort: int = 1,
    translation: str = "none", ranked: bool = False,
) -> list[PlannedImage]:  # fmt: skip
    """Return the plan that a budget asks for, indices outermost, so that every prefix is as balanced as it can be.

    labels, contexts: of the real training images (N,). conditioned: on real images of the class or group; otherwise on
    text alone, and the real ones only tell the groups. modified: draw a modifier for each prompt (SYNAuG). mixed: draw
    a second real image for each conditioned one. cohort: so many images of a class or group follow each other, those of
    index // cohort; a class's last ones may be fewer. translation: images begin from a real one of their class
    ("intra_class"), or from one of any class that has more than theirs ("inter_class"; of the largest, its own).
    ranked: draw each image's rank.

    With balance="group" per_class is that of every (class, context), and the conditioning image is one of the group. An
    empty group has none: its images are conditioned on one of its class from another context (empty_group="class"),
    where only the prompt asks for the right one and the image pulls away from it, or on text alone ("text").
    name_context: prompts say the context, with balance="class" that of the conditioning image, or of a random real
    image of the class.

    Raises InputError for an unknown fill or balance, an impossible per_class, a class without prompt or image, and
    groups where the data or the prompts have no contexts.
    """
    for name, known in {"fill": FILL, "balance": BALANCE, "empty_group": EMPTY_GROUP}.items():
        choose(f"budget {name}", dict.fromkeys(known), getattr(budget, name))
    choose("synaug.translation", dict.fromkeys(TRANSLATIONS), translation)
    if len(prompts) != len(names.classes):
        raise InputError(
            f"the prompt file names {len(prompts)} classes, the data has {len(names.classes)}; make them agree"
        )
    by_group, classes = budget.balance == "group", range(len(names.classes))
    if by_group and translation == "inter_class":
        raise InputError(
            "synaug.translation=inter_class begins from images of other groups, and would keep their contexts; set the "
            "budget's balance to class"
        )
    if by_group or budget.name_context:
        _check_contexts(contexts, names, prompts, budget.name_context)
    groups: list[tuple[int, int | None]] = [(label, None) for label in classes]
    if by_group and names.contexts is not None:
        groups = [(label, context) for label in classes for context in range(len(names.contexts))]
    real = _Real(labels, contexts)
    needed = _needed([len(real.of(*group)) for group in groups], budget)
    drawn = conditioned or (budget.name_context and not by_group)
    for k, (label, _) in enumerate(groups):
        if drawn and needed[k] and not real.of(label):
            cure = "synth.conditioning to text" if conditioned else "the budget's name_context to false"
            raise InputError(f"class {names.classes[label]} has no real image to condition on; set {cure}")

    def planned(label: int, context: int | None, index: int) -> PlannedImage:
        place = (seed, label, index) if context is None else (seed, label, context, index)
        source = partner = None
        if drawn and (pool := real.of(label, context) or (real.of(label) if budget.empty_group == "class" else [])):
            source = pool[numpy_generator("source", *place).integers(len(pool))]
            if mixed and conditioned:
                partner = pool[numpy_generator("partner", *place).integers(len(pool))]
        if context is None and source is not None and contexts is not None:
            context = int(contexts[source])
        named = context if budget.name_context else None
        if modified:
            prompt = prompts.modified(label, numpy_generator("modifier", *place), named)
        else:
            prompt = prompts.plain(label, named)
        prompt = sys.intern(prompt)  # prompts are few and images many: equal ones are one string
        seed_here, shown = derive("image", *place), source if conditioned else None
        together = derive("cohort", *place[:-1], index // cohort) if cohort > 1 else None
        start = None
        if translation != "none":
            own = real.of(label, context) or real.of(label)
            begins = own if translation == "intra_class" else real.of_larger_classes(label)
            if not len(begins):
                raise InputError(
                    f"class {names.classes[label]} has no real image to begin from; set synaug.translation to none"
                )
            start = int(begins[numpy_generator("start", *place).integers(len(begins))])
        rank = float(numpy_generator("target", *place).random()) if ranked else None
        return PlannedImage(label, index, seed_here, prompt, shown, context, partner, start, together, rank)

    return [
        planned(*group, index)
        for first in range(0, max(needed), cohort)
        for group, count in zip(groups, needed, strict=True)
        for index in range(first, min(first + cohort, count))
    ]


class _Real:
    """Positions of the real training images of a class, or of a class in one context."""

    def __init__(self, labels: np.ndarray, contexts: np.ndarray | None) -> None:
        self._positions: dict[tuple[int, int | None], list[int]] = {}
        for label, places in _by_key(labels):
            self._positions[label, None] = places.tolist()
            for context, own in _by_key(None if contexts is None else contexts[places]):
                self._positions[label, context] = places[own].tolist()

    def of(self, label: int, context: int | None = None) -> list[int]:
        return self._positions.get((label, context), [])

    def of_larger_classes(self, label: int) -> np.ndarray:
        """Those of all classes with more images than this one; of the largest, its own."""
        own = len(self.of(label))
        larger = self._largest_first[: self._more_than.get(own, len(self._largest_first))]  # a view: classes are many
        return larger if len(larger) else np.array(self.of(label), np.int64)

    @cached_property
    def _largest_first(self) -> np.ndarray:
        """Positions of all images, the largest class's first."""
        return np.array([i for own in self._classes for i in own], np.int64)

    @cached_property
    def _more_than(self) -> dict[int, int]:
        """How many images belong to classes with more images than so many."""
        sizes = [len(own) for own in self._classes]
        return {size: sum(n for n in sizes if n > size) for size in set(sizes)}

    @property
    def _classes(self) -> list[list[int]]:
        own = [places for (_, context), places in self._positions.items() if context is None]
        return sorted(own, key=len, reverse=True)


def _by_key(keys: np.ndarray | None) -> Iterable[tuple[int, np.ndarray]]:
    """Each key with its positions; nothing where there are no keys."""
    if keys is None:
        return ()
    distinct, positions = indices_by_key(keys)
    return zip(distinct.tolist(), positions, strict=True)


def _check_contexts(contexts: np.ndarray | None, names: Names, prompts: Prompts, name_context: bool) -> None:
    """InputError unless the data has contexts and, if prompts are to name them, so have the prompts."""
    if contexts is None or names.contexts is None:
        raise InputError("this data has no contexts; set the budget's balance=class and name_context=false")
    if name_context and len(prompts.contexts or ()) != len(names.contexts):
        raise InputError(
            f"the prompts know {len(prompts.contexts or ())} contexts, the data has {len(names.contexts)}; "
            "run `dvc repro prepare_lt` to write their names again"
        )


def _needed(counts: Sequence[int], budget: Budget) -> list[int]:
    """Images to make for each class or group, of which there are so many real ones."""
    per_class, unit = budget.per_class, budget.balance
    if per_class < 1:
        raise InputError(f"the budget's per_class={per_class} makes no images; set it to at least 1")
    if budget.fill == "add":
        return [per_class] * len(counts)
    if per_class < max(counts):
        largest = "head count" if unit == "class" else "largest group's"
        raise InputError(
            f"the budget's per_class={per_class} is below the {largest} {max(counts)}, which cannot be filled up "
            f"to it; raise it, or set fill=add to make that many for every {unit}"
        )
    if per_class == min(counts):
        raise InputError(f"every {unit} has the budget's per_class={per_class} images already; raise it")
    return [per_class - count for count in counts]
