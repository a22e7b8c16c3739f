"""Frechet distance between Gaussians fitted to features: FID (Heusel et al., NeurIPS 2017).

With covariances S_i = R_i^T R_i, the eigenvalues of S_1 S_2 are the squared singular values of R_1 R_2^T, so
trace (S_1 S_2)^(1/2) is a nuclear norm. It needs no root of a nearly singular matrix and loses no digits.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GaussianStatistics:
    """Mean and scatter of a set of features, mergeable across shards.

    count: number of features. mean: (D,). root: (min(count, D), D), upper trapezoidal, `root.T @ root` being
    the sum of outer products of centred features. Float64.
    """

    count: int
    mean: np.ndarray
    root: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "GaussianStatistics":
        """features: (N, D) finite numbers, N >= 1; ValueError otherwise."""
        features = np.asarray(features, dtype=np.float64)
        if features.ndim != 2 or len(features) == 0 or not np.isfinite(features).all():
            raise ValueError(f"expected finite features (N, D), got shape {features.shape}")
        mean = features.mean(0)
        return cls(len(features), mean, _root(features - mean))

    def merge(self, other: "GaussianStatistics") -> "GaussianStatistics":
        """Return the statistics of both sets together (Chan et al. 1979), in square-root form."""
        count = self.count + other.count
        gap = other.mean - self.mean
        between = np.sqrt(self.count * other.count / count) * gap
        root = _root(np.vstack([self.root, other.root, between]))
        return GaussianStatistics(count, self.mean + gap * (other.count / count), root)


def _root(rows: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.qr(rows, mode="r"))


def fid(real: GaussianStatistics, fake: GaussianStatistics) -> float:
    """Return the squared Frechet distance, >= 0, covariances with n - 1; symmetric.

    ValueError for fewer than two features or unequal dimensions. Biased upwards when features are
    few: compare sets of equal size only.
    """
    if min(real.count, fake.count) < 2 or real.mean.shape != fake.mean.shape:
        raise ValueError("FID needs at least two features of equal dimension on each side")
    r_1, r_2 = real.root / np.sqrt(real.count - 1), fake.root / np.sqrt(fake.count - 1)
    trace = np.linalg.svd(r_1 @ r_2.T, compute_uv=False).sum()
    distance = ((real.mean - fake.mean) ** 2).sum() + (r_1**2).sum() + (r_2**2).sum() - 2 * trace
    return max(float(distance), 0.0)
