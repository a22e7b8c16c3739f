"""Styles of Fashion-MNIST's photographs, white things on black: contexts of a data set, and of a generator's corpus.

`plain` are as they were published; `coloured` have one colour for white; `inverted` are dark on light; `patterned` lie
on stripes, checks or stains; `posed` are turned, scaled and moved; `drawn` are their edges alone.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.data.digit_contexts import INKS
from src.data.pose import Poses, apply_poses

STYLES = ("plain", "coloured", "inverted", "patterned", "posed", "drawn")


def styled(style: str, things: Tensor, colour: np.ndarray, poses: Poses, generator: np.random.Generator) -> Tensor:
    """Things (N, 1, H, W) in [0, 1] in a style of STYLES, (N, 1 or 3, H, W).

    colour: (N,) of a coloured thing, an index into INKS, -1 for any; poses: of posed ones; generator: draws shades and
    patterns.
    """
    if style == "coloured":
        return things * _colours(colour, generator)
    if style == "inverted":
        return 1 - things
    if style == "patterned":
        return _laid_on(things, _patterns(len(things), things.shape[-1], generator))
    if style == "posed":
        return apply_poses(things, poses)
    return _edges(things) if style == "drawn" else things


def _colours(colour: np.ndarray, generator: np.random.Generator) -> Tensor:
    """(N, 3, 1, 1) in [0, 1]: about an ink, or any light colour where the index into INKS is -1."""
    free = generator.uniform(0.1, 1.0, (len(colour), 3))
    free /= free.max(1, keepdims=True)
    named = np.array(list(INKS.values()))[colour.clip(0)] + generator.normal(0, 0.06, (len(colour), 3))
    return torch.from_numpy(np.where(colour[:, None] < 0, free, named).clip(0, 1)).float()[:, :, None, None]


def _patterns(count: int, side: int, generator: np.random.Generator) -> Tensor:
    """(N, 3, side, side) in [0, 1]: stripes, checks or stains of two colours, at any angle."""
    angle = generator.uniform(0, np.pi, (count, 1, 1))
    period = generator.uniform(4, 12, (count, 1, 1))  # pixels
    y, x = np.mgrid[:side, :side][:, None] + generator.uniform(0, 12, (2, count, 1, 1))  # each (N, side, side)
    along = np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / period)
    across = np.sin(2 * np.pi * (np.cos(angle) * y - np.sin(angle) * x) / period)
    coarse = torch.from_numpy(generator.standard_normal((count, 1, 7, 7)))
    stains = F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False)[:, 0].numpy()
    kind = generator.integers(3, size=(count, 1, 1))
    wave = np.select([kind == 0, kind == 1], [along, along * across], stains)
    share = torch.from_numpy(1 / (1 + np.exp(-6 * wave))).float()[:, None]
    one, other = (torch.from_numpy(generator.uniform(0.0, 0.8, (count, 3, 1, 1))).float() for _ in range(2))
    return share * one + (1 - share) * other


def _laid_on(things: Tensor, patterns: Tensor) -> Tensor:
    """Things (N, 1, H, W) before patterns (N, 3, H, W); holes of a pixel or two are closed."""
    solid = F.max_pool2d((things > 0.04).float(), 3, 1, 1)
    solid = 1 - F.max_pool2d(1 - solid, 3, 1, 1)
    return solid * things + (1 - solid) * patterns


def _edges(things: Tensor) -> Tensor:
    """White lines on black where things (N, 1, H, W) change, by Sobel's operator."""
    kernel = torch.tensor([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]])
    slopes = F.conv2d(things, torch.stack([kernel, kernel.T])[:, None], padding=1)  # (N, 2, H, W)
    return (slopes.norm(dim=1, keepdim=True) / 3).clamp(0, 1)
