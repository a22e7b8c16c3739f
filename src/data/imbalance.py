"""Long-tailed profiles and the shot groups by which they are judged.

The exponential profile is that of Cui et al., Class-Balanced Loss (CVPR 2019), as used by Cao et al., LDAM
(NeurIPS 2019); the shot groups are those of Liu et al., Large-Scale Long-Tailed Recognition (CVPR 2019).
"""

import math
from collections.abc import Sequence

from src.runtime.errors import InputError


def exponential_counts(head: int, classes: int, factor: float) -> list[int]:
    """Return n_k = floor(head * (1 / factor)^(k / (C - 1))) for k = 0 .. C - 1.

    head: images of the largest class; factor: the largest class over the smallest, at least 1.
    Raises InputError if the profile is impossible, naming the first class that it leaves empty.
    """
    if head < 1 or classes < 1:
        raise InputError(f"a profile of {classes} classes from {head} images is empty; both must be at least 1")
    if not math.isfinite(factor) or factor < 1:
        raise InputError(f"imbalance factor {factor} is impossible; it is largest over smallest class, so at least 1")
    exponents = [k / max(classes - 1, 1) for k in range(classes)]
    # The billionth keeps 49 * (1 / 49) at 1; no published profile has a count that close below an integer.
    counts = [int(head * (1 / factor) ** exponent + 1e-9) for exponent in exponents]
    if 0 in counts:
        raise InputError(
            f"imbalance factor {factor:g} leaves class {counts.index(0)} without a training image; "
            f"with {head} images in the largest class it can be at most {head}"
        )
    return counts


def shots(counts: Sequence[int]) -> dict[str, list[int]]:
    """Return the classes with many (> 100), medium (20 .. 100) and few (< 20) training images."""
    groups: dict[str, list[int]] = {"many": [], "medium": [], "few": []}
    for label, count in enumerate(counts):
        groups["many" if count > 100 else "few" if count < 20 else "medium"].append(label)
    return groups
