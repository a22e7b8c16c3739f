"""Density and coverage (Naeem et al., ICML 2020), precision and recall (Kynkaanniemi et al., NeurIPS 2019).

Each real image is a ball that reaches to its k-th nearest real neighbour. Density: how many balls hold a fake image,
over k. Precision: the share of fake images that any ball holds. Coverage: the share of balls that hold one. Recall:
the share of real images in the balls of fake ones. Distances come in blocks, so memory grows with N, not with N^2.
"""

import numpy as np
import torch

from src.data.grouping import whole_runs
from src.evaluation.distances import Block, points
from src.evaluation.neighbours import radii
from src.evaluation.rounding_bounds import full_precision


def density_coverage(
    real: np.ndarray,
    fake: np.ndarray,
    nearest_k: int = 5,
    chunk: int = 1024,
    device: torch.device | None = None,
) -> dict[str, float]:
    """Return density (>= 0), coverage, precision and recall (in [0, 1]) of fake against real features.

    real: (N, D), fake: (M, D); float32 and float64 ones are read in parts, so they may be mapped from a file.
    nearest_k: below N and M. chunk: rows and columns of a block of distances. device: where products are made, the CPU
    by default. Comparisons are strict and those of float64 distances, as `prdc` makes them for float64 features; for
    float32 ones it rounds distances to float32 first, which can turn a near tie. ValueError for other shapes, features
    that are not finite, or too few.
    """
    real, fake = _floats(real), _floats(fake)
    if real.shape[1] != fake.shape[1] or not 0 < nearest_k < min(len(real), len(fake)):
        shapes = f"real {real.shape}, fake {fake.shape}"
        raise ValueError(f"nearest_k={nearest_k} needs more features, of one width on both sides: {shapes}")
    device = device or torch.device("cpu")
    with full_precision(), torch.inference_mode():
        real_points, fake_points, bounds = points(real, fake, device)
        real_radii, fake_radii = (radii(x, nearest_k, chunk, bounds) for x in (real_points, fake_points))
        balls = torch.zeros(len(fake), dtype=torch.int64, device=device)
        covered, recalled = (torch.zeros(len(real), dtype=torch.bool, device=device) for _ in range(2))
        for rows in whole_runs(len(real), chunk):
            for columns in whole_runs(len(fake), chunk):
                block = Block(real_points, rows, fake_points, columns, bounds)
                i, j = block.below(real_radii[rows, None])
                balls[columns] += torch.bincount(j, minlength=columns.stop - columns.start)
                covered[rows][i] = True
                i, _ = block.below(fake_radii[None, columns])
                recalled[rows][i] = True
                bounds = block.bounds  # what one block needed, the next will need
    return {
        "density": balls.sum().item() / (nearest_k * len(fake)),
        "coverage": covered.sum().item() / len(real),
        "precision": balls.count_nonzero().item() / len(fake),
        "recall": recalled.sum().item() / len(real),
    }


def _floats(features: np.ndarray) -> np.ndarray:
    x = np.asarray(features)
    x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
    if x.ndim != 2:
        raise ValueError(f"expected finite features (N, D), got shape {x.shape}")
    return x
