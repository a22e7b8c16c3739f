"""Do synthetic images show what they were asked to show? The judgement of a trained classifier."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.evaluation.accuracy import by_shot, class_accuracies, finite


def class_agreement(
    probabilities: np.ndarray, labels: np.ndarray, counts: Sequence[int], class_names: Sequence[str]
) -> dict[str, Any]:
    """Return the share of images that the classifier puts into the intended class.

    probabilities: (N, C) of synthetic images. labels: (N,), the classes asked for. counts: real training
    images per class. overall is over images; many, medium, few are means over classes; per_class is by name. None
    where there are no images.
    """
    rates = class_accuracies(probabilities, labels)
    return {
        "overall": float((probabilities.argmax(1) == labels).mean()),
        **by_shot(rates, counts),
        "per_class": {name: finite(rate) for name, rate in zip(class_names, rates, strict=True)},
    }
