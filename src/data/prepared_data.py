"""What a loader of a data set gives: labelled images in splits, read one at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from src.data.grouping import counts_by_group, group_ids
from src.data.imbalance import shots
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
        positions = [int(i) for i in chosen]
        contexts = None if self.contexts is None else self.contexts[positions]
        ids = tuple(self.ids[i] for i in positions)
        return ImageSource(ids, self.labels[positions], lambda i: self.read(positions[i]), contexts)


@dataclass(frozen=True)
class PreparedData:
    """The splits of a data set: `train` is imbalanced, `val` selects models and judges images, `test` is for eval_acc,
    `pool` is all real training images that `train` was cut from (for the reference classifier), train itself if none.
    skipped: ids of files that the data set's own rule leaves out (UTKFace's names without a race). copies: of images
    that are the same as another, the id of each and of the first. notes: what the user should know, one sentence each.
    """

    splits: dict[str, ImageSource]
    class_names: tuple[str, ...]
    context_names: tuple[str, ...] | None = None
    skipped: tuple[str, ...] = ()
    copies: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _ = self.names  # what cannot serve as a name is refused before images are read

    @cached_property
    def names(self) -> Names:
        """Of classes and contexts."""
        return Names(self.class_names, self.context_names)

    @cached_property
    def counts(self) -> list[int]:
        """Training images per class."""
        return counts_by_group(self.splits["train"].labels, None, self.names)[0]

    @property
    def test_counts(self) -> list[int]:
        """Test images per class."""
        return counts_by_group(self.splits["test"].labels, None, self.names)[0]

    def record(self, hashes: Mapping[str, str]) -> dict[str, Any]:
        """What metrics/splits.json says: sizes, each split's hash, training images by class and group, shot groups."""
        by_class, train = dict(zip(self.class_names, self.counts, strict=True)), self.splits["train"]
        _, counts = counts_by_group(train.labels, group_ids(train.labels, train.contexts, self.names), self.names)
        rows = np.reshape(counts or [], (len(by_class), -1)).tolist()
        contexts = self.context_names or ()
        groups = {name: dict(zip(contexts, row, strict=True)) for name, row in zip(by_class, rows, strict=True)}
        return {
            "images": {name: len(source) for name, source in self.splits.items()},
            "sha256": dict(hashes),
            "train_counts": by_class,
            "shots": {shot: [self.class_names[k] for k in classes] for shot, classes in shots(self.counts).items()},
            **({"groups": groups} if self.context_names else {}),
            **({"skipped": list(self.skipped)} if self.skipped else {}),
            **({"copies": dict(self.copies)} if self.copies else {}),
        }
