"""Batches blended with a shuffled copy of themselves: mixup and CutMix.

One blend weight per batch, as in both papers. Randomness comes from a numpy generator, so that a batch does
not depend on the device.
"""

from collections.abc import Callable

import numpy as np
import torch

Mixing = Callable[[torch.Tensor, torch.Tensor, float, np.random.Generator], tuple[torch.Tensor, torch.Tensor]]


def none(
    x: torch.Tensor, targets: torch.Tensor, alpha: float, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the batch as it is."""
    return x, targets


def mixup(
    x: torch.Tensor, targets: torch.Tensor, alpha: float, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend images and targets with weight lambda ~ Beta(alpha, alpha) (Zhang et al., ICLR 2018).

    x: (B, 3, H, W). targets: (B, C) probabilities. alpha: > 0. Returns both in the same shapes.
    """
    lam = generator.beta(alpha, alpha)
    order = generator.permutation(len(x))
    return lam * x + (1 - lam) * x[order], lam * targets + (1 - lam) * targets[order]


def cutmix(
    x: torch.Tensor, targets: torch.Tensor, alpha: float, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste a rectangle of area 1 - lambda, lambda ~ Beta(alpha, alpha) (Yun et al., ICCV 2019).

    The rectangle is clipped at the border, and the targets follow the area that is left of it. Shapes as in
    `mixup`.
    """
    height, width = x.shape[-2:]
    side = np.sqrt(1 - generator.beta(alpha, alpha))
    order = generator.permutation(len(x))
    rows = _span(height, side, generator)
    columns = _span(width, side, generator)
    pasted = x.clone()
    pasted[:, :, rows, columns] = x[order][:, :, rows, columns]
    lam = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return pasted, lam * targets + (1 - lam) * targets[order]


def _span(size: int, side: float, generator: np.random.Generator) -> slice:
    centre, half = int(generator.integers(size)), int(size * side) // 2
    return slice(max(centre - half, 0), min(centre + half, size))


MIXING: dict[str, Mixing] = {"none": none, "mixup": mixup, "cutmix": cutmix}
