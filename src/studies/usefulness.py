"""Do image metrics predict usefulness? Rank correlation with the accuracy gained, over a study's experiments.

What a seed's experiments share (its splits, its base classifier) is taken out: values are compared within a seed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from src.studies.summary import rank_correlation

PREDICTORS = ("fid", "density", "coverage", "agreement", "entropy", "loss")
LEAST = 3  # settings, in each of two seeds
ROUNDING = 1e-9  # of a value: what is left where all of a seed's experiments have the same images


class Points(NamedTuple):
    """An experiment's seed, its image metric and its gain in points, both less the means of the seed; (N,) each."""

    seeds: list[int]
    x: list[float]
    y: list[float]


def points(finished: Sequence[tuple[Mapping[str, Any], str]], shot: str) -> dict[str, Points]:
    """Of each image metric the values over experiments and the gain of `shot` over the base.

    finished: rows of metrics/studies/experiments.jsonl, each with the arm whose images are meant. A metric that an
    experiment lacks leaves that experiment out. One that too few have, or that does not vary within a seed, is absent.
    """
    found = {}
    for metric in PREDICTORS:
        known = [
            (row["seed"], row["arms"][arm][metric], 100 * (row["arms"][arm][shot] - row["arms"]["base"][shot]))
            for row, arm in finished
            if None not in (row["arms"][arm].get(metric), row["arms"][arm][shot], row["arms"]["base"][shot])
        ]
        seeds, x, y = np.array(known, np.float64).reshape(-1, 3).T
        often = np.unique(seeds, return_counts=True)[1]
        within = _within(seeds, x)
        if (often >= LEAST).sum() >= 2 and np.ptp(within) > ROUNDING * np.abs(x).max():
            found[metric] = Points(seeds.astype(int).tolist(), within.tolist(), _within(seeds, y).tolist())
    return found


def correlations(found: Mapping[str, Points], name: str) -> dict[str, tuple[float, float, float]]:
    """Spearman's rho of each metric with the gain, and its 95 % interval, for which whole seeds are resampled."""
    return {metric: rank_correlation(x, y, seeds, f"{name} {metric}") for metric, (seeds, x, y) in found.items()}


def _within(seeds: np.ndarray, values: np.ndarray) -> np.ndarray:
    less = values.copy()
    for seed in np.unique(seeds):
        less[seeds == seed] -= less[seeds == seed].mean()
    return less
