"""Do synthetic images show what they were asked to show? The judgement of a trained classifier."""

from collections.abc import Sequence

import numpy as np

from src.evaluation.accuracy import by_shot, class_accuracies


def agreement(probabilities: np.ndarray, labels: np.ndarray, counts: Sequence[int]) -> dict[str, float | None]:
    """Return the share of images that the classifier puts into the intended class.

    probabilities: (N, C) of synthetic images. labels: (N,), the classes asked for. counts: real training
    images per class. overall is over images; many, medium, few are means over classes, None without images.
    """
    overall = float((probabilities.argmax(1) == labels).mean())
    return {"overall": overall, **by_shot(class_accuracies(probabilities, labels), counts)}
