"""Weights that make rare classes or groups count more in the loss, from their numbers of training images."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from src.settings.sections import MethodSettings


def class_balanced(counts: Sequence[int], beta: float) -> torch.Tensor:
    """One over the effective number of images, (1 - beta) / (1 - beta^n) (Cui et al., CVPR 2019).

    beta: in [0, 1); 0 weighs all classes the same, towards 1 it becomes `inverse`. Returns (C,), sum C.
    """
    return _normalised((1 - beta) / (1 - beta ** _present(counts)))


def inverse(counts: Sequence[int]) -> torch.Tensor:
    """One over the number of images: RWG for groups, RWY for classes (Idrissi et al., CLeaR 2022). (C,), sum C."""
    return _normalised(1 / _present(counts))


def _present(counts: Sequence[int]) -> torch.Tensor:
    # Synthetic images may be the first of their class or group, which then weighs as if it had one image.
    return torch.tensor(counts, dtype=torch.float64).clamp(min=1)


def _normalised(weights: torch.Tensor) -> torch.Tensor:
    return (weights * len(weights) / weights.sum()).float()


class Weighting(NamedTuple):
    """weights: from counts and the method. by_group: counts are those of groups, not of classes.

    start: the share of training from which the weights hold.
    """

    weights: Callable[[Sequence[int], MethodSettings], torch.Tensor]
    by_group: bool = False
    start: Callable[[MethodSettings], float] = lambda method: 0.0


def _class_balanced(counts: Sequence[int], method: MethodSettings) -> torch.Tensor:
    return class_balanced(counts, method.balance_beta)


# DRW: class-balanced weights deferred to the end of training (Cao et al., NeurIPS 2019).
WEIGHTINGS: dict[str, Weighting | None] = {
    "none": None,
    "class_balanced": Weighting(_class_balanced),
    "drw": Weighting(_class_balanced, start=lambda method: method.drw_from),
    "inverse_class": Weighting(lambda counts, method: inverse(counts)),
    "inverse_group": Weighting(lambda counts, method: inverse(counts), by_group=True),
}
