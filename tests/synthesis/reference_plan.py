"""The plan as it was first written, slow and plain: sha256 of json.dumps, a generator per draw, a search per class.

It decides which images there are, so a faster plan must equal it to the last bit.
"""

import hashlib
import json
import operator

import numpy as np

from src.data.names import Names
from src.runtime.errors import InputError
from src.settings.sections import Budget
from src.synthesis import plan
from src.synthesis.plan import PlannedImage
from src.synthesis.prompts import Prompts


def derive(*parts: int | str) -> int:
    address = [part if isinstance(part, str) else operator.index(part) for part in parts]
    return int.from_bytes(hashlib.sha256(json.dumps(address).encode()).digest()[:8], "big") >> 1


def numpy_generator(*parts: int | str) -> np.random.Generator:
    return np.random.default_rng(derive(*parts))


def synthesis_plan(
    counts, per_class, fill, seed, prompts: Prompts, *, modified=False, labels=None, contexts=None, context_count=None,
    balance="class", name_context=False, conditioned=True, empty_group="class",
) -> list[PlannedImage]:  # fmt: skip
    by_group = balance == "group"
    budget = Budget(per_class=per_class, fill=fill, balance=balance, name_context=name_context, empty_group=empty_group)
    names = Names(tuple(map(str, range(len(counts)))), tuple(map(str, range(context_count or 0))) or None)
    if by_group or name_context:
        plan._check_contexts(None if labels is None else contexts, names, prompts, name_context)
    groups: list[tuple[int, int | None]] = [(label, None) for label in range(len(counts))]
    if by_group and context_count is not None:
        groups = [(label, context) for label in range(len(counts)) for context in range(context_count)]
    members = Members(labels, contexts)
    sizes = [len(members.of(*group)) for group in groups] if by_group else counts
    needed = plan._needed(sizes, budget)
    drawn = labels is not None and (conditioned or (name_context and not by_group))
    for k, (label, _) in enumerate(groups):
        if drawn and needed[k] and len(members.of(label)) == 0:
            cure = "synth.conditioning to text" if conditioned else "the budget's name_context to false"
            raise InputError(f"class {label} has no real image to condition on; set {cure}")

    def planned(label: int, context: int | None, index: int) -> PlannedImage:
        place = (seed, label, index) if context is None else (seed, label, context, index)
        own = members.of(label, context)
        source = None
        if drawn and (len(own) or empty_group == "class"):
            source = int(numpy_generator("source", *place).choice(own if len(own) else members.of(label)))
        if context is None and source is not None and contexts is not None:
            context = int(contexts[source])
        named = context if name_context else None
        generator = numpy_generator("modifier", *place)
        prompt = prompts.modified(label, generator, named) if modified else prompts.plain(label, named)
        return PlannedImage(label, index, derive("image", *place), prompt, source if conditioned else None, context)

    numbered = list(enumerate(groups))
    return [planned(*group, index) for index in range(max(needed)) for k, group in numbered if index < needed[k]]


class Members:
    """Positions of the real training images of a class, or of a class in one context."""

    def __init__(self, labels, contexts) -> None:
        self._labels, self._contexts = labels, contexts
        self._found: dict[tuple[int, int | None], np.ndarray] = {}

    def of(self, label: int, context: int | None = None) -> np.ndarray:
        if (label, context) not in self._found:
            chosen = np.zeros(0, bool) if self._labels is None else self._labels == label
            if context is not None:
                chosen = chosen & (self._contexts == context)
            self._found[label, context] = np.flatnonzero(chosen)
        return self._found[label, context]
