"""Disjoint train, validation and test splits, and the long tail cut from the training split."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from src.errors import InputError


def split_per_class(
    labels: np.ndarray, test_per_class: int, val_per_class: int, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return sorted disjoint indices {train, val, test}: so many images of each class, the rest to train.

    labels: (N,) integers 0 .. C - 1. Raises InputError if a class is empty or leaves nothing to train on.
    """
    if len(labels) == 0 or min(test_per_class, val_per_class) < 0:
        raise InputError("a split needs images, and test_per_class and val_per_class of at least 0")
    parts: dict[str, list[np.ndarray]] = {"train": [], "val": [], "test": []}
    for label in range(int(labels.max()) + 1):
        members = generator.permutation(np.flatnonzero(labels == label))
        held_out = test_per_class + val_per_class
        if len(members) <= held_out:
            raise InputError(
                f"class {label} has {len(members)} images, too few for {test_per_class} to test, "
                f"{val_per_class} to validate and one to train; lower test_per_class or val_per_class"
            )
        for name, part in zip(("test", "val", "train"), np.split(members, [test_per_class, held_out]), strict=True):
            parts[name].append(part)
    return {name: np.sort(np.concatenate(part)) for name, part in parts.items()}


def long_tail(
    labels: np.ndarray, indices: np.ndarray, counts: Sequence[int], generator: np.random.Generator
) -> np.ndarray:
    """Return sorted indices, a subset of `indices` with counts[k] images of each class k.

    labels: (N,) of the whole set; indices: (M,) into it. From one generator state a smaller count gives a
    subset of a larger one's images. Raises InputError if a class has fewer images than its count.
    """
    chosen = []
    for label, count in enumerate(counts):
        members = generator.permutation(indices[labels[indices] == label])
        if len(members) < count:
            raise InputError(f"class {label} has {len(members)} training images, not {count}; lower the head count")
        chosen.append(members[:count])
    return np.sort(np.concatenate(chosen))


def split_hash(items: Iterable[bytes | str | int]) -> str:
    """Return a sha256 that names a set of images by their ids or contents, whatever their order."""
    data = (item if isinstance(item, bytes) else str(item).encode() for item in items)
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(item).digest() for item in data))).hexdigest()
