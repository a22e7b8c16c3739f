"""Group fairness of predictions towards the context: demographic parity, equal opportunity and equalised odds.

Definitions of Hardt et al. (NeurIPS 2016); each difference is the largest rate over the contexts minus the smallest,
as fairlearn's functions of the same names have it with method="between_groups".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.evaluation.groups import mean_by

DIFFERENCES = ("demographic_parity_difference", "equal_opportunity_difference", "equalised_odds_difference")


def binary_differences(
    chosen: np.ndarray, positive: np.ndarray, contexts: np.ndarray, context_count: int
) -> dict[str, float | None]:
    """Return the three differences, in [0, 1], of yes-or-no predictions between the contexts that occur.

    chosen: (N,) bool, predicted positive. positive: (N,) bool, truly so. contexts: (N,) integers.
    demographic parity compares the rate of positive predictions, equal opportunity the true positive rate, and
    equalised odds is the larger difference of true and false positive rates. A rate without images is unknown (where
    fairlearn puts 0), and so is every difference that needs it, or that has a single context to compare: None.
    """
    occurs = np.bincount(contexts, minlength=context_count) > 0

    def difference(among: np.ndarray) -> float | None:
        rates = mean_by(chosen[among], contexts[among], context_count)[occurs]
        return float(rates.max() - rates.min()) if len(rates) > 1 and np.isfinite(rates).all() else None

    parity, opportunity, alarm = (difference(among) for among in (np.full_like(positive, True), positive, ~positive))
    odds = None if opportunity is None or alarm is None else max(opportunity, alarm)
    return dict(zip(DIFFERENCES, (parity, opportunity, odds), strict=True))


def fairness_report(
    predicted: np.ndarray,
    labels: np.ndarray,
    contexts: np.ndarray,
    class_names: Sequence[str],
    context_names: Sequence[str],
) -> dict[str, Any]:
    """Return the differences' maximum and mean over the classes, ready for JSON.

    predicted, labels: (N,) integers. contexts: (N,) integers, the sensitive attribute. Of two classes the second
    (label 1) is the positive one and the only one judged, as in fairlearn; of more, each stands against the rest.
    Classes whose difference is unknown count neither for the maximum nor for the mean; None if all are.
    """
    judged = [1] if len(class_names) == 2 else range(len(class_names))
    per_class = {
        class_names[k]: binary_differences(predicted == k, labels == k, contexts, len(context_names)) for k in judged
    }
    report: dict[str, Any] = {"positive": class_names[1] if len(class_names) == 2 else "each class against the rest"}
    for name in DIFFERENCES:
        known = [value for row in per_class.values() if (value := row[name]) is not None]
        report[name] = {"max": max(known), "mean": float(np.mean(known))} if known else {"max": None, "mean": None}
    return {**report, "per_class": per_class}
