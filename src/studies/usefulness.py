"""Do image metrics predict usefulness? Rank correlation with the accuracy gained, over a study's experiments.

What a seed's experiments share (its splits, its base classifier) is taken out: values are compared within a seed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.studies.summary import rank_correlation

PREDICTORS = ("fid", "density", "coverage", "agreement", "entropy", "loss")
LEAST = 4  # experiments
Points = dict[str, tuple[list[float], list[float]]]


def points(rows: Sequence[Mapping[str, Any]], arm: str, shot: str) -> Points:
    """Of each image metric the values over experiments and the gain in points of `shot` over the base, less seed means.

    rows: of metrics/studies/experiments.jsonl. A metric that an experiment lacks leaves that experiment out for it.
    """
    found: Points = {}
    for metric in PREDICTORS:
        known = [
            (row["seed"], row["arms"][arm][metric], 100 * (row["arms"][arm][shot] - row["arms"]["base"][shot]))
            for row in rows
            if None not in (row["arms"][arm].get(metric), row["arms"][arm][shot], row["arms"]["base"][shot])
        ]
        seeds, x, y = np.array(known, np.float64).reshape(-1, 3).T
        if len(x) >= LEAST and x.min() < x.max():
            found[metric] = (_within(seeds, x), _within(seeds, y))
    return found


def correlations(found: Points, name: str) -> dict[str, tuple[float, float, float]]:
    """Spearman's rho with its 95 % interval for each metric."""
    return {metric: rank_correlation(x, y, f"{name} {metric}") for metric, (x, y) in found.items()}


def _within(seeds: np.ndarray, values: np.ndarray) -> list[float]:
    less = values.copy()
    for seed in np.unique(seeds):
        less[seeds == seed] -= less[seeds == seed].mean()
    return less.tolist()
