"""Group benchmarks from real digits: each is painted in one context, and classes and contexts go together in training.

In the manner of NICO++ (rare and empty groups), Waterbirds (a spurious context) and UTKFace (a sensitive attribute);
nothing is downloaded. Test and val have every combination of class and context equally often.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.data.digit_contexts import CONTEXTS, paint
from src.data.digits import CLASS_NAMES, LARGEST, posed_digits
from src.data.pose import PoseRange
from src.data.prepared_data import ImageSource, PreparedData
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator
from src.settings.checks import whole

HELD_OUT = ("test", "val")

Placed = tuple[np.ndarray, np.ndarray]
"""Numbers of real images (N,) and the context of each (N,)."""


def load_grouped_digits(settings: Mapping[str, Any], seed: int) -> PreparedData:
    """scikit-learn's digits in one pose and one context each, no real image in two splits.

    settings: `contexts`, a list of names of CONTEXTS; `train`, for each class its training images in each context;
    `test_per_group` and `val_per_group`; `image_size` and `pose` as for the digits. `pool` is `train` with the images
    that are left over, in the contexts that the class has fewest of. Raises InputError for what cannot be made.
    """
    contexts, counts = _groups(settings)
    held_out = [whole(f"{_name(settings)}.{part}_per_group", settings[f"{part}_per_group"], 1) for part in HELD_OUT]
    size = whole(f"{_name(settings)}.image_size", settings["image_size"], 8, LARGEST)
    images, digits = posed_digits(size, PoseRange.from_mapping(settings["pose"]), numpy_generator("pose", seed))
    placed: dict[str, list[Placed]] = {name: [] for name in ("train", "val", "test", "pool")}
    for name, row in counts.items():
        label = CLASS_NAMES.index(name)
        members = numpy_generator("groups", seed, label).permutation(np.flatnonzero(digits == label))
        parts = _place(members, row, *held_out)
        if parts is None:
            raise InputError(
                f"class '{name}' has {len(members)} real images, {_name(settings)} asks for "
                f"{sum(row) + len(row) * sum(held_out)}; lower its training counts, val_per_group or test_per_group"
            )
        for split, part in parts.items():
            placed[split].append(part)

    def source(parts: Sequence[Placed]) -> ImageSource:
        labels = np.repeat(np.arange(len(parts)), [len(numbers) for numbers, _ in parts])
        numbers, where = (np.concatenate(column) for column in zip(*parts, strict=True))

        def read(i: int) -> np.ndarray:
            generator = numpy_generator("paint", seed, int(numbers[i]))
            return paint(images[numbers[i]], contexts[where[i]], generator)

        ids = tuple(f"{number:04d}-{contexts[a]}" for number, a in zip(numbers, where, strict=True))
        return ImageSource(ids, labels, read, where)

    return PreparedData({name: source(parts) for name, parts in placed.items()}, tuple(counts), contexts)


def _name(settings: Mapping[str, Any]) -> str:
    return f"datasets.{settings['name']}"


def _groups(settings: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    """The names of the contexts, and the training counts by class and context; InputError unless they fit."""
    where, contexts, train = _name(settings), settings["contexts"], settings["train"]
    if not (isinstance(contexts, list) and contexts and all(contexts.count(c) == 1 for c in contexts)):
        raise InputError(f"{where}.contexts must be a list of different contexts; known: {', '.join(CONTEXTS)}")
    for context in contexts:
        choose("context", CONTEXTS, str(context))
    if not (isinstance(train, Mapping) and len(train) > 1):
        raise InputError(f"{where}.train must give at least two classes, each with its images per context")
    for name, row in train.items():
        if name not in CLASS_NAMES:
            raise InputError(f"{where}.train has the class {name!r}; known: {', '.join(CLASS_NAMES)}")
        if not (isinstance(row, list) and len(row) == len(contexts)):
            raise InputError(f"{where}.train.{name} must list {len(contexts)} counts, one for each context")
        if sum(whole(f"{where}.train.{name}", count, 0) for count in row) == 0:
            raise InputError(f"{where}.train.{name} leaves the class without a training image; raise one of its counts")
    return tuple(contexts), {name: list(row) for name, row in train.items()}


def _place(members: np.ndarray, row: Sequence[int], test: int, val: int) -> dict[str, Placed] | None:
    """One class's images by split, each in a context, ordered by number; None if there are too few."""
    every = np.arange(len(row))
    wanted = {"test": np.repeat(every, test), "val": np.repeat(every, val), "train": np.repeat(every, row)}
    ends = np.cumsum([len(where) for where in wanted.values()])
    if ends[-1] > len(members):
        return None
    *taken, left = np.split(members, ends)
    parts = dict(zip(wanted, zip(taken, wanted.values(), strict=True), strict=True))
    filled = list(row)
    for _ in left:
        filled[int(np.argmin(filled))] += 1
    numbers, where = parts["train"]
    extra = np.repeat(every, np.subtract(filled, row))
    parts["pool"] = np.concatenate([numbers, left]), np.concatenate([where, extra])
    orders = {name: np.argsort(numbers) for name, (numbers, _) in parts.items()}
    return {name: (numbers[orders[name]], where[orders[name]]) for name, (numbers, where) in parts.items()}
