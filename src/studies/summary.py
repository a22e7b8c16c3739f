"""A study's table: per variant and metric the mean over seeds with its 95 % interval, and paired differences."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from scipy import stats

from src.evaluation.intervals import mean_ci, plus_minus
from src.evaluation.paired_tests import holm
from src.studies.study import ACCURACY, DIFFICULTY, FAIRNESS, Study, Variant

PER_CENT = {*ACCURACY, *FAIRNESS, "agreement"}  # shown in points; the others as they are
POINTS = "points"  # of differences of them
MANY = 20  # comparisons, of more than which those beyond chance are told one by one, and the others together
NAMES = {
    "few": "few-shot accuracy",
    "medium": "medium-shot accuracy",
    "many": "many-shot accuracy",
    "overall": "overall accuracy",
    "macro": "mean accuracy of classes",
    "worst_group": "worst-group accuracy",
    "group_mean": "mean accuracy of groups",
    "weighted_mean": "accuracy weighted by group",
    "ece": "calibration error",
    "fid": "FID",
    "agreement": "class agreement",
    "entropy_gap": "entropy above that of real images",
    "loss_gap": "loss above that of real images",
    "entropy_distance": "distance from real entropy",
    "loss_distance": "distance from real loss",
    "entropy_few_gap": "few-shot entropy above real",
    "loss_few_gap": "few-shot loss above real",
}  # for readers; the others have their own
DIGITS = {
    "fid": 1,
    **dict.fromkeys(("density", "coverage", "precision", "recall", "loss", "entropy", *DIFFICULTY), 2),
}
Measured = Mapping[str, Mapping[int, Mapping[str, float | None]]]  # variant -> seed -> metric -> value


def cell(study: Study, measured: Measured, variant: Variant, metric: str) -> tuple[float, float | None] | None:
    """Mean over seeds and half-width of its 95 % interval, None for one seed; None where a seed lacks the value."""
    values = _by_seed(study, measured, variant.name, metric)
    if values is None:
        return None
    return mean_ci(values) if len(values) > 1 else (values[0], None)


@dataclass(frozen=True)
class Difference:
    """One variant's mean paired difference to another in one metric, the half-width of its 95 % interval, the p of its
    two-sided t test, and whether it differs from zero together with all others of the study (Holm). Of a contrast the
    variant is its name, and against is empty."""

    variant: str
    against: str
    metric: str
    mean: float
    half: float
    p: float
    holds: bool = False

    def between(self, word: str) -> str:
        """Both names with this word between them; a contrast's own name."""
        return f"{self.variant} {word} {self.against}" if self.against else self.variant

    @property
    def size(self) -> str:
        """The difference with its interval."""
        return plus_minus(self.mean, self.half, digits(self.metric), signed=True)

    @property
    def words(self) -> str:
        """The difference in words, such as 'few-shot accuracy higher by 5.5 \u00b1 2.1 points'."""
        size = plus_minus(abs(self.mean), self.half, digits(self.metric))
        unit = f" {POINTS}" if self.metric in PER_CENT else ""
        return f"{name_of(self.metric)} {'higher' if self.mean > 0 else 'lower'} by {size}{unit}"


def pairs(study: Study) -> list[tuple[str, str]]:
    """The names of what is compared, each variant with all that it is compared with."""
    return [(variant.name, other) for variant in study.variants for other in variant.against]


def compares(study: Study) -> bool:
    """Whether the study has differences with intervals."""
    return len(study.seeds) > 1 and bool(pairs(study))


def difference(study: Study, measured: Measured, pair: tuple[str, str], metric: str) -> Difference | None:
    """The first of the pair less the second; None where a seed is missing, has no such value, or is the only one. Of a
    contrast and "" its weighted sum."""
    weights = {pair[0]: 1, pair[1]: -1} if pair[1] else study.contrasts[pair[0]]
    values = {name: _by_seed(study, measured, name, metric) for name in weights}
    terms = [weights[name] * np.array(found) for name, found in values.items() if found is not None]
    if len(terms) < len(weights) or len(study.seeds) < 2:
        return None
    by_seed = np.sum(terms, axis=0)
    return Difference(*pair, metric, *mean_ci(by_seed), _p(by_seed))


def compared(study: Study) -> list[tuple[str, str]]:
    """`pairs`, and each contrast with ""."""
    return [*pairs(study), *((name, "") for name in study.contrasts)]


def comparisons(study: Study, measured: Measured) -> list[list[Difference]]:
    """Of all `compared` the differences in the metrics that the study is judged by, as far as its seeds are there."""
    every = [difference(study, measured, pair, metric) for pair in compared(study) for metric in study.judged]
    known = [d for d in every if d is not None]
    by_pair: dict[tuple[str, str], list[Difference]] = {}
    for d, holds in zip(known, holm([d.p for d in known]), strict=True):
        by_pair.setdefault((d.variant, d.against), []).append(replace(d, holds=bool(holds)))
    return list(by_pair.values())


def verdict(study: Study, measured: Measured) -> list[str]:
    """A sentence for each pair: what holds, by how much, and what differs by chance; of MANY one for the latter."""
    told, others = _told(study, measured)
    sentences = []
    for differences in told:
        held = [d.words for d in differences if d.holds]
        rest = [name_of(d.metric) for d in differences if not d.holds]
        words = [", ".join(held)] if held else []
        words += [f"no difference beyond chance in {', '.join(rest)}"] if rest else []
        sentences.append(f"{differences[0].between('against')}: {'; '.join(words)}")
    if others:
        names = ", ".join(differences[0].between("against") for differences in others)
        sentences.append(f"no difference beyond chance in {', '.join(map(name_of, study.judged))}: {names}")
    return sentences


def brief(study: Study, measured: Measured) -> str:
    """The comparisons in a cell of a Markdown table, one below the other; what holds is bold. Of MANY those alone."""
    told, others = _told(study, measured)
    parts = []
    for differences in told:
        sizes = [f"**{text}**" if d.holds else text for d in differences if (text := f"{name_of(d.metric)} {d.size}")]
        parts.append(f"{differences[0].between('over')}: {', '.join(sizes)}")
    if others:
        parts.append(f"{len(others)} {'others' if told else 'comparisons'}: no difference beyond chance")
    return "<br>".join(parts)


def _told(study: Study, measured: Measured) -> tuple[list[list[Difference]], list[list[Difference]]]:
    """The comparisons to tell one by one, and the others: of more than MANY those in which nothing holds."""
    every = comparisons(study, measured)
    rest = [differences for differences in every if len(every) > MANY and not any(d.holds for d in differences)]
    return [differences for differences in every if differences not in rest], rest


def absent(study: Study, measured: Measured) -> str | None:
    """How many of the study's experiments have no result, because they failed or never ran; None if all have one."""
    rows = [measured.get(variant.name, {}).get(seed, {}) for variant in study.variants for seed in study.seeds]
    count = sum(all(value is None for value in row.values()) for row in rows)
    return f"{count} of {len(rows)} experiments have no result" if count else None


def name_of(metric: str) -> str:
    """The metric's name in a sentence."""
    return NAMES.get(metric, metric.replace("_", " "))


def heading(metric: str, unit: str = "%") -> str:
    """The metric's name above a column, with the unit of shares."""
    return name_of(metric) + (f", {unit}" if metric in PER_CENT else "")


def sample(study: Study) -> str:
    """How many seeds, and which."""
    runs = [[seed for _, seed in run] for _, run in groupby(enumerate(study.seeds), lambda pair: pair[1] - pair[0])]
    which = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
    return f"seed {which}" if len(study.seeds) == 1 else f"n = {len(study.seeds)} seeds ({which})"


def digits(metric: str) -> int:
    """Decimals that a metric is shown with."""
    return DIGITS.get(metric, 1)


def _p(differences: np.ndarray) -> float:
    if (differences == differences[0]).all():  # where the test divides by zero
        return float(differences[0] == 0)
    return float(stats.ttest_1samp(differences, 0).pvalue)


def _by_seed(study: Study, measured: Measured, variant: str, metric: str) -> list[float] | None:
    scale = 100 if metric in PER_CENT else 1
    values: list[Any] = [measured.get(variant, {}).get(seed, {}).get(metric) for seed in study.seeds]
    return None if None in values else [scale * value for value in values]
