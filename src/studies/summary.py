"""A study's table: per variant and metric the mean over seeds with its 95 % interval, and paired differences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from src.evaluation.intervals import mean_ci, paired
from src.evaluation.paired_tests import holm
from src.studies.study import ACCURACY, FAIRNESS, Study, Variant

PER_CENT = {*ACCURACY, *FAIRNESS, "agreement"}  # shown in points; the others as they are
DIGITS = {"fid": 1, "density": 2, "coverage": 2, "precision": 2, "recall": 2, "loss": 2, "entropy": 2}
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
    """One variant's mean paired difference to another in one metric, the half-width of its 95 % interval, and whether
    it differs from zero together with all others of the study (Holm)."""

    variant: str
    against: str
    metric: str
    mean: float
    half: float
    holds: bool

    @property
    def size(self) -> str:
        """The difference with its interval."""
        decimals = digits(self.metric)
        return f"{self.mean:+.{decimals}f} ± {self.half:.{decimals}f}"


def comparisons(study: Study, measured: Measured) -> list[list[Comparison]]:
    """Every variant's comparison in the metrics that the study is judged by, as far as all its seeds are there."""
    cells = [(v, metric, cell(study, measured, v, metric)) for v in study.variants for metric in study.judged]
    known = [
        (v.name, v.against, metric, *c.difference, c.p)
        for v, metric, c in cells
        if c is not None and v.against is not None and c.difference is not None and c.p is not None
    ]
    held = holm([p for *_, p in known])
    found: dict[str, list[Comparison]] = {}
    for (name, against, metric, mean, half, _), holds in zip(known, held, strict=True):
        found.setdefault(name, []).append(Comparison(name, against, metric, mean, half, holds))
    return list(found.values())


def verdict(study: Study, measured: Measured) -> list[str]:
    """A sentence for each variant that is compared: what holds, by how much, and what differs by chance alone."""
    sentences = []
    for told in comparisons(study, measured):
        held = [f"{'more' if one.mean > 0 else 'less'} {one.metric} ({one.size})" for one in told if one.holds]
        rest = [one.metric for one in told if not one.holds]
        words = [", ".join(held)] if held else []
        words += [f"no difference beyond chance in {', '.join(rest)}"] if rest else []
        sentences.append(f"{told[0].variant} against {told[0].against}: {'; '.join(words)}")
    return sentences


def brief(study: Study, measured: Measured) -> str:
    """The comparisons in a cell of a Markdown table, one below the other; what holds is bold."""
    parts = []
    for told in comparisons(study, measured):
        sizes = [f"**{one.size} {one.metric}**" if one.holds else f"{one.size} {one.metric}" for one in told]
        parts.append(f"{told[0].variant} over {told[0].against}: {', '.join(sizes)}")
    return "<br>".join(parts)


def absent(study: Study, measured: Measured) -> str | None:
    """How many of the study's experiments have no result, because they failed or never ran; None if all have one."""
    rows = [measured.get(variant.name, {}).get(seed, {}) for variant in study.variants for seed in study.seeds]
    count = sum(all(value is None for value in row.values()) for row in rows)
    return f"{count} of {len(rows)} experiments have no result" if count else None


def digits(metric: str) -> int:
    """Decimals that a metric is shown with."""
    return DIGITS.get(metric, 1)


def _p(differences: np.ndarray) -> float:
    if (differences == differences[0]).all():  # where the test divides by zero
        return float(differences[0] == 0)
    return float(stats.ttest_1samp(differences, 0).pvalue)


def _by_seed(study: Study, measured: Measured, variant: str, metric: str) -> list[float] | None:
    scale = 100 if metric in PER_CENT else 1
    found: list[Any] = [measured.get(variant, {}).get(seed, {}).get(metric) for seed in study.seeds]
    return None if None in found else [scale * value for value in found]
