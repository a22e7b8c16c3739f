"""The feedback scale of each class at which synthetic images are as hard as real ones, from a few small pilots."""

from collections.abc import Callable

import numpy as np

from src.feedback.real_targets import PRIOR

HALVINGS = 3  # of the range in which the mean over classes is met: to an eighth of it, then linear


def shrunk_means(values: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Means (C,) by class of values (N,), each drawn towards their mean as `RealTargets` draws real ones."""
    counts = np.bincount(labels, minlength=classes)
    means = np.bincount(labels, values, classes) / np.maximum(counts, 1)
    own = counts / (counts + PRIOR)
    return own * means + (1 - own) * means[counts > 0].mean()


def matched_scales(response: Callable[[float], np.ndarray], real: np.ndarray, most: float) -> np.ndarray:
    """The scales (C,) in [-most, most] at which each class's mean criterion meets the real one (C,).

    response: the means (C,) of a pilot's images, all made at one scale. It is asked at -most, 0, most and, by
    bisection, around the scale that meets the mean over classes. Between these a class's own is linear; of several that
    meet, the nearest to 0 is taken, and where none does the one that comes nearest.
    """
    gaps = {scale: real - response(scale) for scale in (-most, 0.0, most)}
    low, high = (0.0, most) if gaps[0.0].mean() > 0 else (-most, 0.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        gaps[middle] = real - response(middle)
        low, high = (middle, high) if gaps[middle].mean() > 0 else (low, middle)
    tried = np.array(sorted(gaps))
    found = [_root(tried, np.array([gaps[scale][k] for scale in tried.tolist()])) for k in range(len(real))]
    return np.round(found, 6)


def _root(tried: np.ndarray, gaps: np.ndarray) -> float:
    """The scale at which the gap falls through zero, the nearest to 0; else the tried one with the least gap."""
    falls = np.flatnonzero((gaps[:-1] >= 0) & (gaps[1:] <= 0) & (gaps[:-1] > gaps[1:]))
    shares = gaps[falls] / (gaps[falls] - gaps[falls + 1])
    roots = tried[falls] + shares * (tried[falls + 1] - tried[falls])
    return float(min(roots, key=abs, default=tried[np.argmin(np.abs(gaps))]))
