"""The synthesis plan: which images to make, decided in full before any is sampled.

Every draw is addressed by (run seed, class, index), or (run seed, class, context, index) where groups are balanced, so
a class's images in a small plan are its first ones in a large plan, and any number of processes in any order makes the
same images.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from src.data.grouping import indices_by_key
from src.runtime.errors import InputError
from src.runtime.seeds import derive, numpy_generator
from src.settings.checks import whole
from src.synthesis.prompts import Prompts

FILL = ("add", "up_to")
BALANCE = ("class", "group")
EMPTY_GROUP = ("class", "text")


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


def synthesis_plan(
    counts: Sequence[int],
    per_class: int,
    fill: str,
    seed: int,
    prompts: Prompts,
    *,
    modified: bool = False,
    labels: np.ndarray | None = None,
    contexts: np.ndarray | None = None,
    context_count: int | None = None,
    balance: str = "class",
    name_context: bool = False,
    conditioned: bool = True,
    empty_group: str = "class",
) -> list[PlannedImage]:
    """Return the plan, indices outermost, so that every prefix of it is as balanced as it can be.

    counts: real training images per class; per_class: how many images to make for each class with fill="add",
    or to have in each class, real ones included, with fill="up_to"; modified: draw a modifier for each prompt
    (SYNAuG); labels: (N,) of the real training images, if each planned one is to be conditioned on one of its
    class; contexts: (N,) of the same images, each below context_count.

    balance="group": the same for every (class, context), where per_class is each group's; the conditioning image is one
    of the group. An empty group has none: its images are conditioned on one of its class from another context
    (empty_group="class"), where only the prompt asks for the right one and the image pulls away from it, or on text
    alone ("text"). name_context: prompts say the context, with balance="class" that of the conditioning image.
    conditioned=False: text alone, labels and contexts only tell the groups (with balance="class" and name_context
    each prompt then names the context of a random real image of the class).

    Raises InputError for an unknown fill or balance, an impossible per_class, a class without prompt or image, and
    groups where the data or the prompts have no contexts.
    """
    _check_choices(balance, empty_group)
    if len(prompts) != len(counts):
        raise InputError(f"the prompt file names {len(prompts)} classes, the data has {len(counts)}; make them agree")
    by_group = balance == "group"
    if by_group or name_context:
        _check_contexts(labels, contexts, context_count, prompts, name_context)
    groups: list[tuple[int, int | None]] = [(label, None) for label in range(len(counts))]
    if by_group and context_count is not None:
        groups = [(label, context) for label in range(len(counts)) for context in range(context_count)]
    real = _Real(labels, contexts)
    sizes = [len(real.of(*group)) for group in groups] if by_group else counts
    needed = _needed(sizes, per_class, fill, balance)
    drawn = labels is not None and (conditioned or (name_context and not by_group))
    for k, (label, _) in enumerate(groups):
        if drawn and needed[k] and not real.of(label):
            raise InputError(f"class {label} has no real image to condition on; set synth.conditioning to text")

    def planned(label: int, context: int | None, index: int) -> PlannedImage:
        place = (seed, label, index) if context is None else (seed, label, context, index)
        source = None
        if drawn and (pool := real.of(label, context) or (real.of(label) if empty_group == "class" else [])):
            source = pool[numpy_generator("source", *place).integers(len(pool))]
        if context is None and source is not None and contexts is not None:
            context = int(contexts[source])
        named = context if name_context else None
        if modified:
            prompt = prompts.modified(label, numpy_generator("modifier", *place), named)
        else:
            prompt = prompts.plain(label, named)
        prompt = sys.intern(prompt)  # prompts are few and images many: equal ones are one string
        return PlannedImage(label, index, derive("image", *place), prompt, source if conditioned else None, context)

    numbered = list(enumerate(groups))
    return [planned(*group, index) for index in range(max(needed)) for k, group in numbered if index < needed[k]]


class _Real:
    """Positions of the real training images of a class, or of a class in one context."""

    def __init__(self, labels: np.ndarray | None, contexts: np.ndarray | None) -> None:
        self._found: dict[tuple[int, int | None], list[int]] = {}
        for label, places in _by_key(labels):
            self._found[label, None] = places.tolist()
            for context, own in _by_key(None if contexts is None else contexts[places]):
                self._found[label, context] = places[own].tolist()

    def of(self, label: int, context: int | None = None) -> list[int]:
        return self._found.get((label, context), [])


def _by_key(keys: np.ndarray | None) -> Iterable[tuple[int, np.ndarray]]:
    """Each key with its positions; nothing where there are no keys."""
    if keys is None or len(keys) == 0:
        return ()
    distinct, positions = indices_by_key(keys)
    return zip(distinct.tolist(), positions, strict=True)


def _check_choices(balance: str, empty_group: str) -> None:
    for name, value, known in (("balance", balance, BALANCE), ("empty_group", empty_group, EMPTY_GROUP)):
        if value not in known:
            raise InputError(f"unknown budget {name} '{value}'; known: {', '.join(known)}")


def _check_contexts(
    labels: np.ndarray | None,
    contexts: np.ndarray | None,
    context_count: int | None,
    prompts: Prompts,
    name_context: bool,
) -> None:
    """InputError unless the data has contexts and, if prompts are to name them, so have the prompts."""
    if labels is None or contexts is None or context_count is None:
        raise InputError("this data has no contexts; set the budget's balance=class and name_context=false")
    if name_context and len(prompts.contexts or ()) != context_count:
        raise InputError(
            f"the prompts know {len(prompts.contexts or ())} contexts, the data has {context_count}; "
            "run `dvc repro prepare_lt` to write their names again"
        )


def _needed(counts: Sequence[int], per_class: int, fill: str, unit: str) -> list[int]:
    """Images to make for each class or group, of which there are so many real ones."""
    if fill not in FILL:
        raise InputError(f"unknown budget fill '{fill}'; known: {', '.join(FILL)}")
    if whole("the budget's per_class", per_class) < 1:
        raise InputError(f"the budget's per_class={per_class} makes no images; set it to at least 1")
    if fill == "add":
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
