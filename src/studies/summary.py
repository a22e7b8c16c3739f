"""A study's table: per variant and metric the mean over seeds with its 95 % interval, and paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from src.report import mean_ci, paired
from src.seeds import numpy_generator
from src.studies.study import ACCURACY, Study

PER_CENT = {*ACCURACY, "agreement"}  # shown in points; the others as they are
RESAMPLES = 2000
Measured = Mapping[str, Mapping[int, Mapping[str, float | None]]]  # variant -> seed -> metric -> value


@dataclass(frozen=True)
class Cell:
    """Mean and half-width of the 95 % interval over seeds (None for one seed), and the same of the paired difference
    to the variant compared with (None for that one itself)."""

    mean: float
    half: float | None
    difference: tuple[float, float] | None


def cell(study: Study, measured: Measured, variant: str, metric: str) -> Cell | None:
    """What the table says; None where a seed is missing or has no such value."""
    values, others = (_by_seed(study, measured, name, metric) for name in (variant, study.against))
    if values is None:
        return None
    if len(values) < 2:
        return Cell(values[0], None, None)
    difference = None if others is None or variant == study.against else paired(values, others)
    return Cell(*mean_ci(values), difference)


def verdict(study: Study, measured: Measured, metric: str) -> list[str]:
    """A sentence for each variant: whether its difference can be told from zero, and by how much."""
    sentences = []
    for variant in study.variants:
        found = cell(study, measured, variant.name, metric)
        if found is None or found.difference is None:
            continue
        mean, half = found.difference
        word = "no difference that can be told from zero" if abs(mean) <= half else ("more" if mean > 0 else "less")
        sentences.append(f"{variant.name}: {mean:+.1f} ± {half:.1f} {metric}, {word}")
    return sentences


def rank_correlation(x: Sequence[float], y: Sequence[float], name: str) -> tuple[float, float, float]:
    """Return Spearman's rho with a 95 % bootstrap interval over pairs. name: addresses the resampling.

    ValueError for fewer than four pairs; NaN where one side is constant.
    """
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(a) != len(b) or len(a) < 4:
        raise ValueError("a rank correlation needs four pairs")
    generator = numpy_generator("rank-correlation", name)
    draws = (generator.integers(len(a), size=len(a)) for _ in range(RESAMPLES))
    resampled = [_rho(a[chosen], b[chosen]) for chosen in draws]
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return _rho(a, b), float(low), float(high)


def _rho(a: np.ndarray, b: np.ndarray) -> float:
    if (a == a[0]).all() or (b == b[0]).all():
        return float("nan")
    ranks = [stats.rankdata(values) for values in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def _by_seed(study: Study, measured: Measured, variant: str, metric: str) -> list[float] | None:
    scale = 100 if metric in PER_CENT else 1
    found: list[Any] = [measured.get(variant, {}).get(seed, {}).get(metric) for seed in study.seeds]
    return None if None in found else [scale * value for value in found]
