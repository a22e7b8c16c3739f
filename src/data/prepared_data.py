"""What a loader of a data set gives: labelled images in splits, read one at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from src.data.names import Names


@dataclass(frozen=True)
class ImageSource:
    """Images of one split, in a fixed order.

    ids: one per image, unique, such as its relative path; it names the image in errors and in the split's hash.
    labels: int64 (N,). contexts: int64 (N,), or None where the data has none (background, domain, sensitive
    attribute). read: position -> uint8 (H, W, 3) of any size, upright; InputError naming the file if it cannot.
    """

    ids: tuple[str, ...]
    labels: np.ndarray
    read: Callable[[int], np.ndarray]
    contexts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def subset(self, chosen: Sequence[int] | np.ndarray) -> "ImageSource":
        """The images at the chosen positions, in that order."""
        places = [int(i) for i in chosen]
        contexts = None if self.contexts is None else self.contexts[places]
        return ImageSource(
            tuple(self.ids[i] for i in places), self.labels[places], lambda i: self.read(places[i]), contexts
        )


@dataclass(frozen=True)
class PreparedData:
    """The splits of a data set: `train` is imbalanced, `val` selects models and judges images, `test` is for eval_acc,
    `pool` is all real training images that `train` was cut from (for the reference classifier), train itself if none.
    skipped: ids of files that the data set's own rule leaves out (UTKFace's names without a race)."""

    splits: dict[str, ImageSource]
    class_names: tuple[str, ...]
    context_names: tuple[str, ...] | None = None
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        Names(self.class_names, self.context_names)  # what cannot serve as a name is refused before images are read

    @cached_property
    def counts(self) -> list[int]:
        """Training images per class."""
        return np.bincount(self.splits["train"].labels, minlength=len(self.class_names)).tolist()

    @cached_property
    def group_counts(self) -> list[int] | None:
        """Training images per group g = label * contexts + context; None without contexts."""
        train = self.splits["train"]
        if self.context_names is None or train.contexts is None:
            return None
        contexts = len(self.context_names)
        groups = train.labels * contexts + train.contexts
        return np.bincount(groups, minlength=len(self.class_names) * contexts).tolist()
