"""The feedback scale of each class at which synthetic images are as hard as real ones, from a few small pilots."""

from collections.abc import Callable

import numpy as np

from src.feedback.real_targets import PRIOR, RealTargets

HALVINGS = 3  # of the range in which the mean over classes is met: to an eighth of it, then linear


def shrunk_gaps(real: RealTargets, made: RealTargets) -> np.ndarray:
    """By how much real images are above those made (C,), each class's gap drawn towards the mean of them.

    The gap of n real and m made images is as sure as a mean of nm / (n + m), which weighs as `RealTargets` weighs. That
    of a class without either is the mean.
    """
    gaps = real.means() - made.means()
    known, both = np.isfinite(gaps), real.counts * made.counts / np.maximum(real.counts + made.counts, 1)
    own = both / (both + PRIOR)
    return own * np.where(known, gaps, 0) + (1 - own) * (gaps[known].mean() if known.any() else 0.0)


def matched_scales(gaps_at: Callable[[float], np.ndarray], most: float) -> np.ndarray:
    """The scales (C,) in [-most, most] at which each class's mean criterion meets the real one.

    gaps_at: by how much real images are above a pilot's (C,), all made at one scale. It is asked at -most, 0, most and,
    by bisection, around the scale that meets the mean over classes. Between these a class's own is linear; of several
    that meet, the nearest to 0 is taken, and where none does the one that comes nearest.
    """
    gaps = {scale: gaps_at(scale) for scale in (-most, 0.0, most)}
    low, high = (0.0, most) if gaps[0.0].mean() > 0 else (-most, 0.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        gaps[middle] = gaps_at(middle)
        low, high = (middle, high) if gaps[middle].mean() > 0 else (low, middle)
    tried = np.array(sorted(gaps))
    found = [_root(tried, np.array([gaps[scale][k] for scale in tried.tolist()])) for k in range(len(gaps[0.0]))]
    return np.round(found, 6)


def _root(tried: np.ndarray, gaps: np.ndarray) -> float:
    """The scale at which the gap falls through zero, the nearest to 0; else the tried one with the least gap."""
    falls = np.flatnonzero((gaps[:-1] >= 0) & (gaps[1:] <= 0) & (gaps[:-1] > gaps[1:]))
    shares = gaps[falls] / (gaps[falls] - gaps[falls + 1])
    roots = tried[falls] + shares * (tried[falls + 1] - tried[falls])
    return float(min(roots, key=abs, default=tried[np.argmin(np.abs(gaps))]))
