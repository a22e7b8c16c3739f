"""Means of repeated runs and of their differences, with Student's t intervals."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

LEVEL = 0.95


def mean_ci(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the mean and the half-width of its Student t interval at LEVEL; ValueError for fewer than two values."""
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or len(data) < 2:
        raise ValueError("an interval needs at least two values")
    quantile = stats.t.ppf((1 + LEVEL) / 2, len(data) - 1)
    return float(data.mean()), float(quantile * data.std(ddof=1) / np.sqrt(len(data)))


def plus_minus(mean: float, half: float | None, decimals: int = 1, signed: bool = False) -> str:
    """A mean with the half-width of its interval, as text; without an interval the mean alone."""
    text = f"{mean:{'+' if signed else ''}.{decimals}f}"
    return text if half is None else f"{text} ± {half:.{decimals}f}"
