"""Frechet distance between Gaussians fitted to features: FID (Heusel et al., NeurIPS 2017).

With covariances S_i = R_i^T R_i, the eigenvalues of S_1 S_2 are the squared singular values of R_1 R_2^T, so
trace (S_1 S_2)^(1/2) is a nuclear norm. It needs no root of a nearly singular matrix and loses no digits. The roots
R_i grow by QR updates from parts of the features, so no covariance and no float64 copy of all features is ever made.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy.linalg import lapack

ROWS = 1024  # features converted and folded in at once, and at least as many as dimensions
BLOCK = 64  # columns that LAPACK updates together


@dataclass(frozen=True)
class GaussianStatistics:
    """Mean and scatter of a set of features, mergeable across shards.

    count: number of features. mean: (D,). root: (at most D, D), upper trapezoidal, `root.T @ root` being the sum of
    outer products of centred features. Float64.
    """

    count: int
    mean: np.ndarray
    root: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray | Iterable[np.ndarray]) -> "GaussianStatistics":
        """features: (N, D), which may be mapped from a file, or an iterable of such parts; N >= 1.

        ValueError if there are none, or numbers that are not finite.
        """
        parts = _parts(features) if isinstance(features, np.ndarray) else features
        empty = cls(0, np.zeros(0), np.zeros((0, 0)))
        total = reduce(lambda so_far, part: so_far.merge(cls._centred(part)), parts, empty)
        if total.count == 0:
            raise ValueError("there are no features to take statistics of")
        return total

    @classmethod
    def _centred(cls, part: np.ndarray) -> "GaussianStatistics":
        """Statistics whose root is not triangular yet: the centred features themselves."""
        rows = np.array(part, dtype=np.float64)
        if rows.ndim != 2 or not np.isfinite(rows).all():
            raise ValueError(f"expected finite features (N, D), got shape {rows.shape}")
        mean = rows.mean(0) if len(rows) else np.zeros(rows.shape[1])
        return cls(len(rows), mean, rows - mean)

    def merge(self, other: "GaussianStatistics") -> "GaussianStatistics":
        """Return the statistics of both sets together (Chan et al. 1979), in square-root form."""
        if other.count == 0:
            return self
        if self.count == 0:
            return GaussianStatistics(other.count, other.mean, _root(other.root))
        count = self.count + other.count
        gap = other.mean - self.mean
        between = np.sqrt(self.count * other.count / count) * gap
        root = _grow(self.root, np.vstack([other.root, between]))
        return GaussianStatistics(count, self.mean + gap * (other.count / count), root)


def _parts(features: np.ndarray) -> Iterator[np.ndarray]:
    if features.ndim != 2:
        raise ValueError(f"expected finite features (N, D), got shape {features.shape}")
    size = max(ROWS, features.shape[1])
    return (features[first : first + size] for first in range(0, len(features), size))


def _grow(root: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The triangular root of `root.T @ root + rows.T @ rows`."""
    if len(root) < root.shape[1]:
        return _root(np.vstack([root, rows]))
    # A triangle stays one: half the work of factoring the two stacked when they are equally high.
    return lapack.dtpqrt(0, min(BLOCK, len(root)), root, rows)[0]


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
