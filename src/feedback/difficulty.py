"""How hard images are for the base classifier: a criterion's distribution, overall and by shot.

Set beside that on held-out real images it says whether feedback has anything to do, and whether it has done it. Classes
weigh alike, or groups where the images have contexts, and only those count of which every kind of images has some.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.data.grouping import group_ids
from src.data.imbalance import shots
from src.data.names import Names

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
    within = len(values) > classes  # else the spread is that between classes
    weights = 1 / counts[labels] / classes
    mean, order = float(weights @ values), np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    centre = (np.bincount(labels, values) / np.maximum(counts, 1))[labels] if within else mean
    free = len(values) - (classes if within else 1)
    error = float(np.sqrt(((values - centre) ** 2).sum() / free * (weights @ weights))) if free else None
    places = [min(int(np.searchsorted(reached, q)), len(values) - 1) for q in QUANTILES]
    return {
        "images": len(values),
        "mean": mean,
        "standard_error": error,
        "quantiles": {f"{q:g}": float(values[order[k]]) for q, k in zip(QUANTILES, places, strict=True)},
    }


def difficulty(
    judged: Mapping[str, tuple[np.ndarray, np.ndarray]], counts: Sequence[int], contexts: int = 1
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """`distribution` of each kind of images ("real", "unguided", "guided"), overall and of each shot's classes.

    judged: values and `units` of each. counts: real training images of every class, which define the shots.
    """
    common = set.intersection(*(set(units.tolist()) for _, units in judged.values()))
    report: dict[str, dict[str, Any]] = {}
    for subset, classes in {"overall": range(len(counts)), **shots(counts)}.items():
        own = [unit for unit in common if unit // contexts in classes]
        chosen = {kind: np.isin(units, own) for kind, (_, units) in judged.items()}
        report[subset] = {kind: distribution(v[chosen[kind]], u[chosen[kind]]) for kind, (v, u) in judged.items()}
    return report


def units(
    kinds: Mapping[str, tuple[np.ndarray, np.ndarray | None]], names: Names
) -> tuple[dict[str, np.ndarray], int]:  # fmt: skip
    """What is compared, of each kind of images with these labels and contexts: groups and the number of contexts, or
    classes and 1 where some have no contexts."""
    if names.contexts is None or any(contexts is None for _, contexts in kinds.values()):
        return {kind: labels for kind, (labels, _) in kinds.items()}, 1
    grouped = {kind: group_ids(labels, contexts, names) for kind, (labels, contexts) in kinds.items()}
    return {kind: ids for kind, ids in grouped.items() if ids is not None}, len(names.contexts)


def mean_difficulty(
    judged: Mapping[str, tuple[np.ndarray, np.ndarray]], counts: Sequence[int], contexts: int = 1
) -> dict[str, dict[str, float | None]]:  # fmt: skip
    """Of each kind of images the mean overall and by shot, of what `difficulty` takes."""
    report = difficulty(judged, counts, contexts)
    return {kind: {subset: part[kind] and part[kind]["mean"] for subset, part in report.items()} for kind in judged}
