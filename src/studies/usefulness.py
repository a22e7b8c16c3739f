"""Do image metrics predict usefulness? Rank correlation with the accuracy gained, over a study's experiments.

A seed's experiments share its splits and its base classifier, so that they are ranked among themselves: rho is that of
a seed, and its mean over seeds has Student's interval, as everything else in a study. On a map they also share a
column, so that what the column itself does to both counts for nothing: rho is the mean over a seed's columns.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from src.evaluation.intervals import mean_ci
from src.settings.arms import BASE
from src.studies.study import DISTANCES, TEST, values_of

PREDICTORS = ("fid", "density", "coverage", "agreement", "entropy", "loss", *DISTANCES)
LEAST = 3  # settings of a seed, and seeds with so many
ROUNDING = 1e-9  # of a value: what is left where all of a seed's experiments have the same images


class Points(NamedTuple):
    """An experiment's seed and column, "" if the study has none; its image metric and its gain in points, both less the
    means of those of its seed and column; (N,) each."""

    groups: list[tuple[int, str]]
    x: list[float]
    y: list[float]


def points(finished: Sequence[tuple[Mapping[str, Any], str]], shot: str, split: str = TEST) -> dict[str, Points]:
    """Of each image metric the values over experiments and the gain of `shot` over the base, on that split.

    finished: rows of metrics/studies/experiments.jsonl, each with the arm whose images are meant, and with its column
    if the study is a map. A metric that an experiment lacks leaves that experiment out. One that does not vary in LEAST
    settings of LEAST seeds is absent.
    """
    clouds = {}
    for metric in PREDICTORS:
        known = []
        for row, arm in finished:
            values, base = values_of(row, arm, split), values_of(row, BASE, split)[shot]
            if None not in (values.get(metric), values[shot], base):
                known.append(((row["seed"], row.get("column", "")), values[metric], 100 * (values[shot] - base)))
        groups, x, y = (list(values) for values in zip(*known, strict=True)) if known else ([], [], [])
        cloud = Points(groups, _within(groups, x), _within(groups, y))
        if len(by_seed(cloud)) >= LEAST:
            clouds[metric] = cloud
    return clouds


def correlations(clouds: Mapping[str, Points]) -> dict[str, tuple[float, float, float]]:
    """Of each metric the mean over seeds of Spearman's rho with the gain, and the ends of its 95 % interval."""
    means = {metric: mean_ci(by_seed(cloud)) for metric, cloud in clouds.items()}
    return {metric: (mean, max(mean - half, -1), min(mean + half, 1)) for metric, (mean, half) in means.items()}


def by_seed(points: Points) -> list[float]:
    """Spearman's rho within each seed, the mean over its columns that have at least LEAST settings and in which both
    sides vary; of the seeds that have such a column."""
    x, y, rhos = np.array(points.x), np.array(points.y), dict[int, list[float]]()
    for (seed, _), rows in _rows(points.groups).items():
        a, b = x[rows], y[rows]
        if len(a) >= LEAST and np.ptp(a) > 0 and np.ptp(b) > 0:
            rhos.setdefault(seed, []).append(float(stats.spearmanr(a, b).statistic))
    return [float(np.mean(rhos[seed])) for seed in sorted(rhos)]


def _rows(groups: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[int]]:
    """The places of each seed and column."""
    rows: dict[tuple[int, str], list[int]] = {}
    for place, group in enumerate(groups):
        rows.setdefault(group, []).append(place)
    return rows


def _within(groups: Sequence[tuple[int, str]], values: Sequence[float]) -> list[float]:
    """The values less the means of their seed and column; what rounding leaves of the differences is none."""
    less = np.array(values, np.float64)
    for rows in _rows(groups).values():
        less[rows] -= less[rows].mean()
    return np.where(np.abs(less) > ROUNDING * np.abs(values).max(initial=0), less, 0).tolist()
