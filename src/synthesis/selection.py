"""Generate, then select: of several candidates for each planned image keep the best by the criterion.

The best has the most of it or, where the image has a target, is nearest to that.

What guidance is compared with in Deliberate Practice (arXiv 2502.15588): no gradient, but that many times the images.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from src.runtime.seeds import derive
from src.shards.store import Sample
from src.synthesis.plan import PlannedImage


def generate_then_select(
    generate: Callable[[Sequence[PlannedImage]], list[Sample]], part: Sequence[PlannedImage], candidates: int
) -> list[Sample]:
    """For each planned image the candidate whose provenance has the highest `criterion_after`, or that nearest to its
    `target`; one is just made.

    The k-th candidate is the same image from another seed, the first one from its own.
    """
    if candidates == 1:
        return generate(part)
    rounds = [generate([_candidate(p, k) for p in part]) for k in range(candidates)]
    choices = zip(*rounds, strict=True)
    return [max(some, key=lambda s: gain(s[1]["criterion_after"], s[1].get("target"))) for some in choices]


def _candidate(p: PlannedImage, k: int) -> PlannedImage:
    return p if k == 0 else replace(p, seed=derive("candidate", p.seed, k))


def gain(value: float | None, target: float | None) -> float:
    """How good a candidate is, by its criterion and the image's target; one without a finite criterion is the worst."""
    if value is None or not math.isfinite(value):
        return -math.inf
    return value if target is None else -abs(value - target)
