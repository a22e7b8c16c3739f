"""Batches blended with a shuffled copy of themselves, mixup and CutMix, or with another batch, CMO.

One blend weight per batch, as in both papers. Randomness comes from a numpy generator, so that a batch does not depend
on the device. All take x (B, 3, H, W), targets (B, C) of probabilities and alpha > 0, and return both in these shapes.
"""

from collections.abc import Callable

import numpy as np
from torch import Tensor

Mixed = tuple[Tensor, Tensor]  # images and their targets
CMO_SHARE = 0.5  # of the batches; the rest stay as they are, as in the released code


def none(x: Tensor, targets: Tensor, alpha: float, generator: np.random.Generator) -> Mixed:
    """Return the batch as it is."""
    return x, targets


def mixup(x: Tensor, targets: Tensor, alpha: float, generator: np.random.Generator) -> Mixed:
    """Blend images and targets with weight lambda ~ Beta(alpha, alpha) (Zhang et al., ICLR 2018)."""
    lam = generator.beta(alpha, alpha)
    order = generator.permutation(len(x))
    return lam * x + (1 - lam) * x[order], lam * targets + (1 - lam) * targets[order]


def cutmix(x: Tensor, targets: Tensor, alpha: float, generator: np.random.Generator) -> Mixed:
    """Paste a rectangle of area 1 - lambda, lambda ~ Beta(alpha, alpha) (Yun et al., ICCV 2019).

    The rectangle is clipped at the border, and the targets follow the area that is left of it.
    """
    side = np.sqrt(1 - generator.beta(alpha, alpha))
    order = generator.permutation(len(x))
    return _paste(x, targets, (x[order], targets[order]), side, generator)


def cmo(x: Tensor, targets: Tensor, alpha: float, generator: np.random.Generator, *, second: Mixed) -> Mixed:
    """Context-rich minority oversampling (Park et al., CVPR 2022): CutMix whose rectangle shows another batch.

    second: images and targets of the foregrounds, shaped as the first; `minority_sampler` draws them. Half of the
    batches, at random, stay as they are. Published with alpha 1.
    """
    if generator.random() >= CMO_SHARE:
        return x, targets
    return _paste(x, targets, second, np.sqrt(1 - generator.beta(alpha, alpha)), generator)


def _paste(x: Tensor, targets: Tensor, foreground: Mixed, side: float, generator: np.random.Generator) -> Mixed:
    height, width = x.shape[-2:]
    rows = _span(height, side, generator)
    columns = _span(width, side, generator)
    pasted = x.clone()
    pasted[:, :, rows, columns] = foreground[0][:, :, rows, columns]
    lam = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return pasted, lam * targets + (1 - lam) * foreground[1]


def _span(size: int, side: float, generator: np.random.Generator) -> slice:
    centre, half = int(generator.integers(size)), int(size * side) // 2
    return slice(max(centre - half, 0), min(centre + half, size))


MIXING: dict[str, Callable[..., Mixed]] = {"none": none, "mixup": mixup, "cutmix": cutmix, "cmo": cmo}
NEEDS_SECOND_BATCH = frozenset({"cmo"})  # called with second=(images, targets)
