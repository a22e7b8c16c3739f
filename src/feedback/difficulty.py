"""How hard images are for the base classifier: a criterion's distribution, classes weighing alike, overall and by shot.

Set beside that on held-out real images it says whether feedback has anything to do, and whether it has done it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.data.imbalance import shots

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def distribution(values: np.ndarray, labels: np.ndarray) -> dict[str, Any] | None:
    """Images, mean with its standard error, and QUANTILES of values (N,) of images with these labels (N,), each class
    weighing alike; None without any. Those not finite do not count."""
    known = np.isfinite(values)
    values, labels = values[known], labels[known]
    if len(values) == 0:
        return None
    counts = np.bincount(labels)
    classes = int(np.count_nonzero(counts))
    weights = 1 / counts[labels] / classes
    mean, order = float(weights @ values), np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    centre = (np.bincount(labels, values) / np.maximum(counts, 1))[labels] if len(values) > classes else mean
    variance = float(((values - centre) ** 2).sum()) / max(len(values) - classes, 1)  # within classes
    places = [min(int(np.searchsorted(reached, q)), len(values) - 1) for q in QUANTILES]
    return {
        "images": len(values),
        "mean": mean,
        "standard_error": float(np.sqrt(variance * (weights @ weights))),
        "quantiles": {f"{q:g}": float(values[order[k]]) for q, k in zip(QUANTILES, places, strict=True)},
    }


def difficulty(
    judged: Mapping[str, tuple[np.ndarray, np.ndarray]], counts: Sequence[int]
) -> dict[str, dict[str, Any] | None]:  # fmt: skip
    """`distribution` of each kind of images ("real", "unguided", "guided"), overall and of each shot's classes.

    judged: values and labels of each. counts: real training images of every class, which define the shots.
    """
    report: dict[str, dict[str, Any] | None] = {}
    for subset, classes in {"overall": range(len(counts)), **shots(counts)}.items():
        chosen = {kind: np.isin(labels, list(classes)) for kind, (_, labels) in judged.items()}
        report[subset] = {kind: distribution(v[chosen[kind]], y[chosen[kind]]) for kind, (v, y) in judged.items()}
    return report


def mean_difficulty(
    judged: Mapping[str, tuple[np.ndarray, np.ndarray]], counts: Sequence[int]
) -> dict[str, dict[str, float | None]]:  # fmt: skip
    """Of each kind of images the mean overall and by shot, classes weighing alike, of what `difficulty` takes."""
    report = difficulty(judged, counts)
    parts = {kind: {subset: (found or {}).get(kind) for subset, found in report.items()} for kind in judged}
    return {kind: {subset: part and part["mean"] for subset, part in of.items()} for kind, of in parts.items()}
