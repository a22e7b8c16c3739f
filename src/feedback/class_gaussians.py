"""Class Gaussians of real features, for the hardness criterion (Sehwag et al., CVPR 2022).

Tail classes have fewer samples than dimensions, so covariances are shrunk: `tied` pools the within-class
residuals of all classes and shrinks them after Ledoit & Wolf (2004); `class` shrinks each class alone and
needs two samples of it.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from src.runtime.choices import choose
from src.runtime.errors import InputError

SHRINKAGES = ("tied", "class")


@dataclass(frozen=True)
class ClassGaussians:
    """mean (C, D), precision (C, D, D) and log_det (C,) of the covariances.

    Where all classes share one covariance, precision is (1, D, D) and log_det (1,).
    """

    mean: Tensor
    precision: Tensor
    log_det: Tensor

    def hardness(self, logits: Tensor, features: Tensor, labels: Tensor) -> Tensor:
        """1/2 [(h - mu_y)^T S_y^-1 (h - mu_y) + ln det S_y + d ln 2 pi] of features (B, D): (B,)."""
        h = features - _rows(self.mean, labels).to(features)
        if len(self.precision) == 1:
            projected, log_det = h @ self.precision[0].to(features), self.log_det.to(features)
        else:
            precision, log_det = (_rows(table, labels).to(features) for table in (self.precision, self.log_det))
            projected = torch.einsum("bi,bij->bj", h, precision)
        mahalanobis = (projected * h).sum(1)
        return 0.5 * (mahalanobis + log_det + features.shape[1] * math.log(2 * math.pi))

    def to(self, device: torch.device, dtype: torch.dtype) -> "ClassGaussians":
        """Tables of a shared covariance on the device, so that no call moves them. Others stay: they may not fit."""
        if len(self.precision) > 1:
            return self
        return ClassGaussians(*(table.to(device, dtype) for table in (self.mean, self.precision, self.log_det)))


def _rows(table: Tensor, labels: Tensor) -> Tensor:
    """The labels' rows, taken where the table lies: of (C, D, D) only (B, D, D) is ever converted."""
    return table[labels.to(table.device)]


def fit_gaussians(features: np.ndarray, labels: np.ndarray, classes: int, shrinkage: str = "tied") -> ClassGaussians:
    """Gaussians of every class from real features (N, D).

    Means are estimated from the same samples, so covariances are those of n - 1 for each class with n of them; classes
    of one say nothing of it. Raises InputError for an unknown shrinkage, a class without samples, or with one under
    `class` shrinkage, and if no class has two.
    """
    choose("shrinkage", dict.fromkeys(SHRINKAGES), shrinkage)
    counts = np.bincount(labels, minlength=classes)
    needed = 1 if shrinkage == "tied" else 2
    few = int(np.argmax(counts < needed))
    if counts[few] < needed:
        raise InputError(
            f"class {few} has {counts[few]} training images, too few for the hardness criterion with shrinkage "
            f"'{shrinkage}'; use {'another feedback' if shrinkage == 'tied' else 'tied or another feedback'}."
        )
    if counts.max() < 2:
        raise InputError(
            "no class has two training images, from which the hardness criterion could tell how they vary; use another "
            "feedback."
        )
    from sklearn.covariance import ledoit_wolf  # a second, for this criterion alone

    features = features.astype(np.float64)
    mean = np.stack([features[labels == k].mean(0) for k in range(classes)])
    residuals = features - mean[labels]
    varied = counts > 1
    groups = [varied[labels]] if shrinkage == "tied" else [labels == k for k in range(classes)]
    freedom = [counts[varied].sum() - varied.sum()] if shrinkage == "tied" else counts - 1
    covariance = np.stack([
        ledoit_wolf(residuals[chosen], assume_centered=True)[0] * (chosen.sum() / degrees)
        for chosen, degrees in zip(groups, freedom, strict=True)
    ])  # fmt: skip
    width = covariance.shape[1]
    covariance += 1e-6 * np.trace(covariance, axis1=1, axis2=2).mean() / width * np.eye(width)
    return ClassGaussians(
        torch.from_numpy(mean),
        torch.from_numpy(np.linalg.inv(covariance)),
        torch.from_numpy(np.linalg.slogdet(covariance)[1]),
    )
