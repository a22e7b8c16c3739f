"""Which images have a class, or a group: found for all of them by one stable sort, however many there are."""

import numpy as np


def indices_by_key(keys: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the distinct keys in order, and of each its ascending positions in `keys`, (N,) with N at least 1."""
    distinct, counts = np.unique(keys, return_counts=True)
    return distinct, np.split(np.argsort(keys, kind="stable"), np.cumsum(counts)[:-1])
