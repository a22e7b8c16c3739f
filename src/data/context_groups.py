"""Groups of class and context out of images that can be shown in any context: each image once, in one.

In the manner of NICO++ (rare and empty groups), Waterbirds (a spurious context) and UTKFace (a sensitive attribute).
Test and val have every combination of class and context equally often.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from src.data.prepared_data import ImageSource, PreparedData
from src.runtime.errors import InputError
from src.settings.dataset_settings import GroupedSettings

Placed = tuple[np.ndarray, np.ndarray]
"""Numbers of images (N,) and the context of each (N,)."""


def in_contexts(
    settings: GroupedSettings, tested: Mapping[str, np.ndarray], members: Mapping[str, np.ndarray],
    show: Callable[[int, str], np.ndarray],
) -> PreparedData:  # fmt: skip
    """The splits, no image in two of them.

    tested: numbers of each class's test images, as many for every context; members: of its other ones, of which the
    first validate and the next train. show: an image's number and context to uint8 (H, W, 3). `pool` is `train` with
    the members that are left over, in the contexts that the class has fewest of. Raises InputError for more images
    than there are.
    """
    contexts = settings.contexts
    placed: dict[str, list[Placed]] = {name: [] for name in ("train", "val", "test", "pool")}
    for name, row in settings.train.items():
        parts = _place(tested[name], members[name], row, settings.val_per_group)
        if parts is None:
            raise InputError(
                f"class '{name}' has {len(members[name])} real images that are not reserved for test, "
                f"{settings.preset} asks for {sum(row) + len(row) * settings.val_per_group}; lower its training counts "
                "or val_per_group"
            )
        for split, part in parts.items():
            placed[split].append(part)

    def source(parts: Sequence[Placed]) -> ImageSource:
        labels = np.repeat(np.arange(len(parts)), [len(numbers) for numbers, _ in parts])
        numbers, context = (np.concatenate(column) for column in zip(*parts, strict=True))
        ids = tuple(f"{number:04d}-{contexts[a]}" for number, a in zip(numbers, context, strict=True))
        return ImageSource(ids, labels, lambda i: show(int(numbers[i]), contexts[context[i]]), context)

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
