"""A study's table: per variant and metric the mean over seeds with its 95 % interval, and paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from src.evaluation.paired import holm
from src.intervals import mean_ci, paired
from src.seeds import numpy_generator
from src.studies.study import ACCURACY, Study, Variant

PER_CENT = {*ACCURACY, "agreement"}  # shown in points; the others as they are
DIGITS = {"fid": 1, "density": 2, "coverage": 2, "precision": 2, "recall": 2, "loss": 2, "entropy": 2}
RESAMPLES = 2000
Measured = Mapping[str, Mapping[int, Mapping[str, float | None]]]  # variant -> seed -> metric -> value


@dataclass(frozen=True)
class Cell:
    """Mean and half-width of the 95 % interval over seeds (None for one seed), and the same of the paired difference
    to the variant compared with and the p of its two-sided t test (None for a variant compared with none)."""

    mean: float
    half: float | None
    difference: tuple[float, float] | None = None
    p: float | None = None


def cell(study: Study, measured: Measured, variant: Variant, metric: str) -> Cell | None:
    """What the table says; None where a seed is missing or has no such value."""
    values = _by_seed(study, measured, variant.name, metric)
    if values is None:
        return None
    if len(values) < 2:
        return Cell(values[0], None)
    others = None if variant.against is None else _by_seed(study, measured, variant.against, metric)
    if others is None:
        return Cell(*mean_ci(values))
    return Cell(*mean_ci(values), paired(values, others), _p(np.subtract(values, others)))


@dataclass(frozen=True)
class Comparison:
    """One variant's mean paired difference to another, the half-width of its 95 % interval, and whether it differs
    from zero together with the study's others (Holm)."""

    variant: str
    against: str
    mean: float
    half: float
    holds: bool


def comparisons(study: Study, measured: Measured, metric: str) -> list[Comparison]:
    """Every comparison that the study asks for and whose seeds are all there."""
    cells = [(variant, cell(study, measured, variant, metric)) for variant in study.variants]
    found = [
        (v.name, v.against, c.difference, c.p)
        for v, c in cells
        if c is not None and v.against is not None and c.difference is not None and c.p is not None
    ]
    holds = holm([p for *_, p in found])
    return [
        Comparison(name, against, mean, half, held)
        for (name, against, (mean, half), _), held in zip(found, holds, strict=True)
    ]


def verdict(study: Study, measured: Measured, metric: str) -> list[str]:
    """A sentence for each comparison: by how much, and whether it holds."""
    sentences = []
    for one in comparisons(study, measured, metric):
        word = ("more" if one.mean > 0 else "less") if one.holds else "no difference beyond chance"
        sentences.append(f"{one.variant} against {one.against}: {_size(one, metric)} {metric}, {word}")
    return sentences


def brief(study: Study, measured: Measured, metric: str) -> str:
    """The comparisons in one line of Markdown; what holds is bold."""
    parts = []
    for one in comparisons(study, measured, metric):
        part = f"{one.variant} over {one.against} {_size(one, metric)}"
        parts.append(f"**{part}**" if one.holds else part)
    return "; ".join(parts)


def _size(one: Comparison, metric: str) -> str:
    return f"{one.mean:+.{digits(metric)}f} ± {one.half:.{digits(metric)}f}"


def digits(metric: str) -> int:
    """Decimals that a metric is shown with."""
    return DIGITS.get(metric, 1)


def _p(differences: np.ndarray) -> float:
    if (differences == differences[0]).all():  # where the test divides by zero
        return float(differences[0] == 0)
    return float(stats.ttest_1samp(differences, 0).pvalue)


def rank_correlation(
    x: Sequence[float], y: Sequence[float], clusters: Sequence[int], name: str
) -> tuple[float, float, float]:
    """Return Spearman's rho over all pairs, with a 95 % bootstrap interval over whole clusters.

    clusters: of each pair, such as the seed it comes from; pairs of one are not independent. name: addresses the
    resampling. ValueError for fewer than two clusters or four pairs; NaN where one side is constant.
    """
    a, b, of = np.asarray(x, np.float64), np.asarray(y, np.float64), np.asarray(clusters)
    members = [np.flatnonzero(of == one) for one in np.unique(of)]
    if not len(a) == len(b) == len(of) or len(a) < 4 or len(members) < 2:
        raise ValueError("a rank correlation needs four pairs, of two clusters")
    generator = numpy_generator("rank-correlation", name)
    draws = (generator.integers(len(members), size=len(members)) for _ in range(RESAMPLES))
    chosen = (np.concatenate([members[k] for k in drawn]) for drawn in draws)
    resampled = [_rho(a[rows], b[rows]) for rows in chosen]
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
