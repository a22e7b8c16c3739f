"""What may be balanced, classes or groups (a class in one context), and which images belong to each."""

from collections.abc import Hashable, Sequence

import numpy as np

from src.data.names import Names
from src.runtime.errors import InputError

BALANCE = ("class", "group")


def indices_by_key(keys: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the distinct keys in order, and of each its ascending positions in `keys`, (N,).

    One stable sort finds them all, however many there are.
    """
    distinct, counts = np.unique(keys, return_counts=True)
    return distinct, np.split(np.argsort(keys, kind="stable"), np.cumsum(counts))[:-1]


def first_of_each(groups: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Ascending positions of the first wanted[g] members of every group g, or of all where it has fewer.

    groups: (N,) numbers below len(wanted); wanted: (G,).
    """
    order, sizes = np.argsort(groups, kind="stable"), np.bincount(groups, minlength=len(wanted))
    rank = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # within its group, in sorted order
    return np.sort(order[rank < np.repeat(wanted, sizes)])


def whole_runs(count: int, size: int, keys: Sequence[Hashable] | None = None) -> list[slice]:
    """Consecutive slices of at most `size` of `count` things that cut no run of equal keys; None: all keys differ.

    InputError for a run that is longer.
    """
    if keys is None:
        return [slice(first, min(first + size, count)) for first in range(0, count, size)]
    slices, first, run = [], 0, 0
    for i in range(1, count + 1):
        if i < count and keys[i] == keys[run]:
            continue
        if i - run > size:
            raise InputError(
                f"{i - run} images are made together, and {size} fit at once; lower the feedback preset's cohort, or "
                "raise synth.shard_size if that is smaller"
            )
        if i - first > size:
            slices.append(slice(first, run))
            first = run
        run = i
    return [*slices, slice(first, count)] if count else []


def group_ids(labels: np.ndarray, contexts: np.ndarray | None, names: Names) -> np.ndarray | None:
    """Group numbers label * contexts + context (N,) of labels (N,) and contexts (N,); None for data without contexts.

    Raises InputError if the data has contexts and these images lack them, or for a label or context without a name.
    """
    for kind, numbers, known in (("label", labels, names.classes), ("context", contexts, names.contexts)):
        if numbers is not None and known is not None and len(numbers) and numbers.max() >= len(known):
            raise InputError(
                f"there are images of {kind} {numbers.max()}, but names.json has {len(known)} names for them; "
                "run `dvc repro` to prepare the data again"
            )
    if names.contexts is None:
        return None
    if contexts is None:
        raise InputError("synthetic images lack a context; set the budget's balance=group, or condition on images")
    return labels * len(names.contexts) + contexts


def counts_by_group(labels: np.ndarray, groups: np.ndarray | None, names: Names) -> tuple[list[int], list[int] | None]:
    """Images per class and, where there are contexts, per group, those without images too."""
    classes, contexts = len(names.classes), len(names.contexts or ())
    per_class = np.bincount(labels, minlength=classes).tolist()
    return per_class, None if groups is None else np.bincount(groups, minlength=classes * contexts).tolist()
