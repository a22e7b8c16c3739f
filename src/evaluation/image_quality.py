"""Synthetic against real validation images in one feature space: FID, density, coverage, overall and by shot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.data.imbalance import shots
from src.evaluation.density_coverage import density_coverage
from src.evaluation.fid import GaussianStatistics, fid
from src.runtime.errors import InputError
from src.runtime.processes import device

FeaturesAndLabels = tuple[np.ndarray, np.ndarray]


def compare(real: np.ndarray, fake: np.ndarray, nearest_k: int) -> dict[str, Any]:
    """FID, density, coverage, precision and recall of features (N, D) and (M, D), with the sample counts."""
    return {
        "fid": fid(GaussianStatistics.of(real), GaussianStatistics.of(fake)),
        **density_coverage(real, fake, nearest_k, device=device()),
        "real_images": len(real),
        "synthetic_images": len(fake),
    }


def quality(real: FeaturesAndLabels, fake: FeaturesAndLabels, counts: Sequence[int], nearest_k: int) -> dict[str, Any]:
    """`compare` over all classes and over each shot's classes; null for a shot with too few images.

    real, fake: features and labels. counts: real training images per class, which define the shots.
    """
    report: dict[str, Any] = {"overall": compare(real[0], fake[0], nearest_k)}
    for shot, classes in shots(counts).items():
        r, f = (features[np.isin(labels, classes)] for features, labels in (real, fake))
        report[shot] = compare(r, f, nearest_k) if min(len(r), len(f)) > nearest_k else None
    return report


def in_every_space(
    spaces: Mapping[str, Mapping[str, np.ndarray]],
    labels: Mapping[str, np.ndarray],
    counts: Sequence[int],
    nearest_k: int,
) -> dict[str, dict[str, Any]]:
    """`quality` of each synthetic arm in each feature space.

    spaces: extractor name -> {"real": features, arm: features}; labels: {"real": labels, arm: labels}.
    Raises InputError if there are too few images for `nearest_k`.
    """
    smallest = min(labels, key=lambda name: len(labels[name]))
    if nearest_k >= len(labels[smallest]):
        raise InputError(
            f"evaluation.nearest_k={nearest_k} must be below the {len(labels[smallest])} images of "
            f"'{smallest}', the smallest set; change it, or have more images"
        )
    return {
        arm: {
            space: quality((features["real"], labels["real"]), (features[arm], labels[arm]), counts, nearest_k)
            for space, features in spaces.items()
        }
        for arm in labels
        if arm != "real"
    }
