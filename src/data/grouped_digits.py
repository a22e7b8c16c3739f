"""Group benchmarks from real digits: each is painted in one context, and classes and contexts go together in training.

In the manner of NICO++ (rare and empty groups), Waterbirds (a spurious context) and UTKFace (a sensitive attribute);
nothing is downloaded. Test and val have every combination of class and context equally often.
"""

from collections.abc import Sequence

import numpy as np

from src.data.digit_contexts import CONTEXTS, paint
from src.data.digits import CLASS_NAMES, posed_digits, reserved_for_test
from src.data.prepared_data import ImageSource, PreparedData
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator
from src.settings.dataset_settings import GroupedDigitsSettings

Placed = tuple[np.ndarray, np.ndarray]
"""Numbers of real images (N,) and the context of each (N,)."""


def load_grouped_digits(settings: GroupedDigitsSettings, seed: int) -> PreparedData:
    """scikit-learn's digits in one pose and one context each, no real image in two splits, and in test the same ones
    under every seed.

    `pool` is `train` with the images that are left over, in the contexts that the class has fewest of. Raises
    InputError for a context that is not in CONTEXTS, a class that is no digit, or more images than there are.
    """
    contexts = settings.contexts
    for context in contexts:
        choose("context", CONTEXTS, context)
    images, digits = posed_digits(settings.image_size, settings.pose, numpy_generator("pose", seed))
    reserved = reserved_for_test(digits, len(contexts) * settings.test_per_group)
    placed: dict[str, list[Placed]] = {name: [] for name in ("train", "val", "test", "pool")}
    for name, row in settings.train.items():
        if name not in CLASS_NAMES:
            raise InputError(f"{settings.preset}.train has the class {name!r}; known: {', '.join(CLASS_NAMES)}")
        label = CLASS_NAMES.index(name)
        generator = numpy_generator("groups", seed, label)
        tested = generator.permutation(reserved[label][: len(contexts) * settings.test_per_group])
        members = generator.permutation(np.setdiff1d(np.flatnonzero(digits == label), reserved[label]))
        parts = _place(tested, members, row, settings.val_per_group)
        if parts is None:
            raise InputError(
                f"class '{name}' has {len(members)} real images that are not reserved for test, {settings.preset} asks "
                f"for {sum(row) + len(row) * settings.val_per_group}; lower its training counts or val_per_group"
            )
        for split, part in parts.items():
            placed[split].append(part)

    def source(parts: Sequence[Placed]) -> ImageSource:
        labels = np.repeat(np.arange(len(parts)), [len(numbers) for numbers, _ in parts])
        numbers, context = (np.concatenate(column) for column in zip(*parts, strict=True))

        def read(i: int) -> np.ndarray:
            generator = numpy_generator("paint", seed, int(numbers[i]))
            return paint(images[numbers[i]], contexts[context[i]], generator)

        ids = tuple(f"{number:04d}-{contexts[a]}" for number, a in zip(numbers, context, strict=True))
        return ImageSource(ids, labels, read, context)

    return PreparedData({name: source(parts) for name, parts in placed.items()}, tuple(settings.train), contexts)


def _place(tested: np.ndarray, members: np.ndarray, row: Sequence[int], val: int) -> dict[str, Placed] | None:
    """One class's images by split, each in a context, ordered by number; None if there are too few members."""
    contexts = np.arange(len(row))
    wanted = {"val": np.repeat(contexts, val), "train": np.repeat(contexts, row)}
    ends = np.cumsum([len(context) for context in wanted.values()])
    if ends[-1] > len(members):
        return None
    *taken, left = np.split(members, ends)
    parts = dict(zip(wanted, zip(taken, wanted.values(), strict=True), strict=True))
    parts["test"] = tested, np.repeat(contexts, len(tested) // len(contexts))
    filled = list(row)
    for _ in left:
        filled[int(np.argmin(filled))] += 1
    numbers, context = parts["train"]
    extra = np.repeat(contexts, np.subtract(filled, row))
    parts["pool"] = np.concatenate([numbers, left]), np.concatenate([context, extra])
    orders = {name: np.argsort(numbers) for name, (numbers, _) in parts.items()}
    return {name: (numbers[orders[name]], context[orders[name]]) for name, (numbers, context) in parts.items()}
