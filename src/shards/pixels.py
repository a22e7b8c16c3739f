"""The two forms of an image: bytes at rest, numbers in [-1, 1] inside networks."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from src.runtime.errors import InputError


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """images: uint8 (N, H, W, 3); returns float32 (N, 3, H, W) in [-1, 1]. ValueError for anything else."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(f"expected uint8 (N, H, W, 3), got {images.dtype} {images.shape}")
    return torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32, order="C")).div_(127.5).sub_(1)


def to_uint8(x: torch.Tensor) -> np.ndarray:
    """x: (N, 3, H, W), clamped to [-1, 1]; returns uint8 (N, H, W, 3). InputError on NaN or infinity."""
    if not torch.isfinite(x).all():
        raise InputError(
            "images hold NaN or infinity, which no pixel can show; lower the feedback's scale or guidance_scale"
        )
    pixels = x.detach().float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())


def resized(x: torch.Tensor, edge: int, rounded: bool = True) -> torch.Tensor:
    """x (N, 3, H, W), nominally in [-1, 1], as stored with `edge` pixels and read again: (N, 3, edge, edge).

    Bicubic with antialiasing, as Pillow resizes, then clamped and, if `rounded`, rounded to 256 levels; both let
    gradients through.
    """
    if x.shape[-2:] != (edge, edge):
        x = F.interpolate(x, size=(edge, edge), mode="bicubic", antialias=True, align_corners=False)
    levels = x.detach().clamp(-1, 1)
    if rounded:
        levels = levels.add(1).mul(127.5).round().div(127.5).sub(1)
    return x + (levels - x).detach()


def prepared(
    x: torch.Tensor, device: torch.device, side: int, mean: Sequence[float], std: Sequence[float], rounded: bool = True
) -> torch.Tensor:
    """x (B, 3, H, W) in [-1, 1], resized to a square as Pillow does and normalised. rounded: as in `resized`."""
    x = resized(x.to(device), side, rounded)
    centre, spread = (torch.tensor(values, device=device).view(3, 1, 1) for values in (mean, std))
    return ((x + 1) / 2 - centre) / spread


def shrunk(image: np.ndarray, size: int, longest: float) -> np.ndarray:
    """An image, uint8 (H, W, 3), resampled (Lanczos, antialiased) so that its shorter side has `size` pixels.

    Of a longer side than `longest` times the shorter one the middle is kept, before the image is resampled.
    """
    side = min(image.shape[:2])
    height, width = (min(edge, int(side * longest)) for edge in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    kept = image if image.shape[:2] == (height, width) else image[top : top + height, left : left + width]
    if side == size:
        return kept
    edges = (round(width * size / side), round(height * size / side))
    return np.array(Image.fromarray(kept).resize(edges, Image.Resampling.LANCZOS))


def centre_square(image: np.ndarray, size: int) -> np.ndarray:
    """The central square of an image, uint8 (H, W, 3), resampled to (size, size, 3)."""
    return shrunk(image, size, longest=1)
