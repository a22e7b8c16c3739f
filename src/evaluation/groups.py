"""Accuracy by group, a group being a class in a context: the worst, the mean, and the mean weighted by training images.

Groups are numbered g = class * contexts + context, as in Sagawa et al., Group DRO (ICLR 2020), whose Waterbirds mean
weighs each group by its share of the training images.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np


def mean_by(values: np.ndarray, ids: np.ndarray, count: int) -> np.ndarray:
    """Return the mean of the values under each id, float64 (count,), NaN for ids that do not occur.

    values: (N,) booleans or numbers. ids: (N,) integers 0 .. count - 1.
    """
    totals, occurrences = np.bincount(ids, values, minlength=count), np.bincount(ids, minlength=count)
    return np.divide(totals, occurrences, out=np.full(count, np.nan), where=occurrences > 0)


def group_report(
    predicted: np.ndarray,
    labels: np.ndarray,
    contexts: np.ndarray,
    class_names: Sequence[str],
    context_names: Sequence[str],
    group_counts: Sequence[int],
) -> dict[str, Any]:
    """Return the accuracies of the C * A groups and what is made of them, ready for JSON.

    predicted, labels: (N,) integers below C. contexts: (N,) integers below A. group_counts: training images per
    group, (C * A,). worst and mean are over the groups that have test images; weighted_mean weighs these by their
    training images, None if they have none. per_group: a row for every group, accuracy None without test images.
    """
    shape = len(class_names), len(context_names)
    if len(group_counts) != shape[0] * shape[1]:
        raise ValueError(f"{len(group_counts)} group counts do not fit {shape[0]} classes in {shape[1]} contexts")
    groups = labels * shape[1] + contexts
    accuracies = mean_by(predicted == labels, groups, len(group_counts))
    tested = np.isfinite(accuracies)
    weights = np.asarray(group_counts, dtype=np.float64)[tested]
    worst = int(np.nanargmin(accuracies))
    rows = [
        {
            "class": class_names[g // shape[1]],
            "context": context_names[g % shape[1]],
            "accuracy": float(accuracies[g]) if tested[g] else None,
            "train_images": int(group_counts[g]),
            "test_images": int(images),
        }
        for g, images in enumerate(np.bincount(groups, minlength=len(group_counts)))
    ]
    return {
        "worst": float(accuracies[worst]),
        "worst_group": {name: rows[worst][name] for name in ("class", "context")},
        "mean": float(accuracies[tested].mean()),
        "weighted_mean": float(weights @ accuracies[tested] / weights.sum()) if weights.any() else None,
        "per_group": rows,
    }
