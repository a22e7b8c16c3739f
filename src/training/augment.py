"""Random changes of training images, drawn per image from a numpy generator."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

Augmentation = Callable[[torch.Tensor, np.random.Generator], torch.Tensor]


def none(x: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
    """Return the images as they are."""
    return x


def shift(x: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
    """Move half of the images by up to 1/32 of their side (1 of 32 pixels) both ways; the border is repeated.

    x: (B, 3, H, W) in [-1, 1]; returns the same shape and range. Mild by intent: twice as much lifts the base
    classifier of the default benchmark so far that its rare classes leave no room to tell methods apart.
    """
    moved = torch.from_numpy(generator.random(len(x)) < 0.5).to(x.device)
    return torch.where(moved[:, None, None, None], _random_crop(x, x.shape[-1] // 32, generator), x)


def standard(x: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
    """Crop after padding by an eighth (4 of 32 pixels), and flip half of the images: the CIFAR recipe.

    x: (B, 3, H, W) in [-1, 1]; returns the same shape and range. Not for digits or letters: it mirrors.
    """
    x = _random_crop(x, x.shape[-1] // 8, generator)
    mirrored = torch.from_numpy(generator.random(len(x)) < 0.5).to(x.device)
    return torch.where(mirrored[:, None, None, None], x.flip(-1), x)


def _random_crop(x: torch.Tensor, padding: int, generator: np.random.Generator) -> torch.Tensor:
    padded = F.pad(x, (padding,) * 4, mode="replicate")  # (B, 3, H + 2 padding, W + 2 padding)
    corners = generator.integers(2 * padding + 1, size=(2, len(x), 1))
    rows = torch.from_numpy(corners[0] + np.arange(x.shape[-2])).to(x.device)  # (B, H)
    columns = torch.from_numpy(corners[1] + np.arange(x.shape[-1])).to(x.device)  # (B, W)
    images = torch.arange(len(x), device=x.device)[:, None, None]
    # The channel axis goes last, next to where advanced indexing leaves it, and back.
    return padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


AUGMENTATIONS: dict[str, Augmentation] = {"none": none, "shift": shift, "standard": standard}
