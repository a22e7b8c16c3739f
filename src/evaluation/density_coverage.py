"""Density and coverage (Naeem et al., ICML 2020), and precision (Kynkaanniemi et al., NeurIPS 2019).

Each real image is a ball that reaches to its k-th nearest real neighbour. Density: how many balls hold a fake
image, over k. Coverage: the share of balls that hold one. Distances are taken in blocks of rows, so memory
grows with N, not N^2.
"""

from collections.abc import Iterator

import numpy as np
import torch


def density_coverage(
    real: np.ndarray | torch.Tensor, fake: np.ndarray | torch.Tensor, nearest_k: int = 5, chunk: int = 2048
) -> dict[str, float]:
    """Return density (>= 0), coverage and precision (in [0, 1]) of fake features against real ones.

    real: (N, D), fake: (M, D), on one device; float32 stays so (twice as fast), all else becomes float64.
    Recall is the precision of the swapped arguments. nearest_k: below N. chunk: rows per block. ValueError
    for other shapes, features that are not finite, or too few real ones.
    """
    real, fake = _floats(real), _floats(fake)
    if real.shape[1] != fake.shape[1] or not 0 < nearest_k < len(real) or len(fake) == 0:
        shapes = f"real {tuple(real.shape)}, fake {tuple(fake.shape)}"
        raise ValueError(f"nearest_k={nearest_k} needs more real features, of the same width as the fake: {shapes}")
    # Distances do not change, and their rounding shrinks, when the common mean is removed.
    centre = real.mean(0)
    real, fake = real - centre, fake - centre
    balls = torch.zeros(len(fake), dtype=torch.int64, device=fake.device)
    covered = 0
    blocks = zip(_blocks(real, real, chunk), _blocks(real, fake, chunk), strict=True)
    for (first, to_real), (_, to_fake) in blocks:
        to_real.diagonal(first).fill_(torch.inf)  # an image is no neighbour of itself
        radii = to_real.topk(nearest_k, dim=1, largest=False, sorted=True).values[:, -1:]  # (chunk, 1)
        inside = to_fake < radii  # (chunk, M)
        balls += inside.sum(0)
        covered += int(inside.any(1).sum())
    return {
        "density": balls.sum().item() / (nearest_k * len(fake)),
        "coverage": covered / len(real),
        "precision": balls.count_nonzero().item() / len(fake),
    }


def _blocks(rows: torch.Tensor, columns: torch.Tensor, chunk: int) -> Iterator[tuple[int, torch.Tensor]]:
    """Squared distances (chunk, M), each block with the number of its first row.

    A block spans all columns: equal sets then give equal bits, and the strict comparison is right at ties.
    """
    squares = columns.square().sum(1)
    for first in range(0, len(rows), chunk):
        part = rows[first : first + chunk]
        products = torch.addmm(squares, part, columns.T, alpha=-2)
        yield first, products.add_(part.square().sum(1, keepdim=True))


def _floats(features: np.ndarray | torch.Tensor) -> torch.Tensor:
    x = torch.as_tensor(features)
    x = x if x.dtype == torch.float32 else x.double()
    if x.ndim != 2 or not torch.isfinite(x).all():
        raise ValueError(f"expected finite features (N, D), got shape {tuple(x.shape)}")
    return x
