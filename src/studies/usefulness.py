"""Do image metrics predict usefulness? Rank correlation with the accuracy gained, over a study's experiments.

A seed's experiments share its splits and its base classifier, so that they are ranked among themselves: rho is that of
a seed, and its mean over seeds has Student's interval, as everything else in a study.
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
    """An experiment's seed, its image metric and its gain in points, both less the means of the seed; (N,) each."""

    seeds: list[int]
    x: list[float]
    y: list[float]


def points(finished: Sequence[tuple[Mapping[str, Any], str]], shot: str, split: str = TEST) -> dict[str, Points]:
    """Of each image metric the values over experiments and the gain of `shot` over the base, on that split.

    finished: rows of metrics/studies/experiments.jsonl, each with the arm whose images are meant. A metric that an
    experiment lacks leaves that experiment out. One that does not vary in LEAST settings of LEAST seeds is absent.
    """
    clouds = {}
    for metric in PREDICTORS:
        known = []
        for row, arm in finished:
            values, base = values_of(row, arm, split), values_of(row, BASE, split)[shot]
            if None not in (values.get(metric), values[shot], base):
                known.append((row["seed"], values[metric], 100 * (values[shot] - base)))
        seeds, x, y = np.array(known, np.float64).reshape(-1, 3).T
        cloud = Points(seeds.astype(int).tolist(), _within(seeds, x).tolist(), _within(seeds, y).tolist())
        if len(by_seed(cloud)) >= LEAST:
            clouds[metric] = cloud
    return clouds


def correlations(clouds: Mapping[str, Points]) -> dict[str, tuple[float, float, float]]:
    """Of each metric the mean over seeds of Spearman's rho with the gain, and the ends of its 95 % interval."""
    means = {metric: mean_ci(by_seed(cloud)) for metric, cloud in clouds.items()}
    return {metric: (mean, max(mean - half, -1), min(mean + half, 1)) for metric, (mean, half) in means.items()}


def by_seed(points: Points) -> list[float]:
    """Spearman's rho within each seed that has at least LEAST settings and in which both sides vary."""
    seeds, x, y = (np.asarray(values) for values in points)
    rhos = []
    for seed in np.unique(seeds):
        a, b = x[seeds == seed], y[seeds == seed]
        if len(a) >= LEAST and np.ptp(a) > 0 and np.ptp(b) > 0:
            rhos.append(float(stats.spearmanr(a, b).statistic))
    return rhos


def _within(seeds: np.ndarray, values: np.ndarray) -> np.ndarray:
    less = values.copy()
    for seed in np.unique(seeds):
        less[seeds == seed] -= less[seeds == seed].mean()
    return np.where(np.abs(less) > ROUNDING * np.abs(values).max(initial=0), less, 0)
