"""Means of repeated runs and of their differences, with Student's t intervals."""

from collections.abc import Sequence

import numpy as np
from scipy import stats


def mean_ci(values: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the mean and the half-width of its Student t interval; ValueError for fewer than two values."""
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or len(data) < 2:
        raise ValueError("an interval needs at least two values")
    quantile = stats.t.ppf((1 + level) / 2, len(data) - 1)
    return float(data.mean()), float(quantile * data.std(ddof=1) / np.sqrt(len(data)))


def paired(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return mean and half-width of a - b, matched run by run, which cancels what the runs share."""
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} values cannot be paired")
    return mean_ci(np.subtract(a, b), level)


def plus_minus(mean: float, half: float | None, decimals: int = 1, signed: bool = False, unit: str = "") -> str:
    """A mean with the half-width of its interval, as text; without an interval the mean alone."""
    text = f"{mean:{'+' if signed else ''}.{decimals}f}{unit}"
    return text if half is None else f"{text} ± {half:.{decimals}f}"
