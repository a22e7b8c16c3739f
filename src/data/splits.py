"""Disjoint train, validation and test splits, and the long tail cut from the training split."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator


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


def split_fractions(
    strata: Sequence[tuple[str, ...]], val_fraction: float, test_fraction: float, seed: int
) -> dict[str, np.ndarray]:
    """Return sorted disjoint indices {train, val, test}: these shares of each stratum, rounded down, the rest to train.

    strata: for each of N images, such as its (class, context). The first image of a stratum trains, the second tests
    and the third validates, however small the fractions are, as long as they are not 0. A stratum's split depends on
    its own images alone. Raises InputError if the fractions leave nothing to train on.
    """
    if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
        raise InputError(
            f"val_fraction={val_fraction:g} and test_fraction={test_fraction:g} leave nothing to train on; "
            "give both at least 0 and less than 1 together"
        )
    members: dict[tuple[str, ...], list[int]] = {}
    for i, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(i)
    parts = {name: [np.empty(0, np.int64)] for name in ("train", "val", "test")}
    for stratum, places in members.items():
        shuffled = numpy_generator("split", seed, *stratum).permutation(places)
        test = _share(len(places), test_fraction, len(places) - 1)
        val = _share(len(places), val_fraction, len(places) - 1 - test)
        for name, part in zip(("test", "val", "train"), np.split(shuffled, [test, test + val]), strict=True):
            parts[name].append(part)
    return {name: np.sort(np.concatenate(part)) for name, part in parts.items()}


def _share(count: int, fraction: float, most: int) -> int:
    # The billionth keeps 0.29 of 100 images at 29.
    return min(max(1, int(count * fraction + 1e-9)), most) if fraction > 0 else 0


def split_hash(items: Iterable[bytes | str | int]) -> str:
    """Return a sha256 that names a set of images by their ids or contents, whatever their order."""
    data = (item if isinstance(item, bytes) else str(item).encode() for item in items)
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(item).digest() for item in data))).hexdigest()
