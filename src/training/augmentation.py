"""Random changes of training images, drawn per image from a numpy generator.

The random resized crop and the colour jitter of ImageNet's recipe (Szegedy et al., CVPR 2015; He et al., CVPR 2016)
are torchvision's arithmetic for a whole batch at once: image by image they take longer than a step of a ResNet-50.
RandAugment is Cubuk et al. (NeurIPS 2020).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.classifiers.models import centre_crop
from src.data.pose import Poses, apply_poses, draw_poses
from src.runtime.seeds import torch_seeded
from src.settings.dataset_settings import PoseRange

TRIES = 10  # for a crop that fits; after that it is the whole image, as in torchvision
JITTER = 0.4  # of brightness, contrast and saturation: factors in [0.6, 1.4]


class Rows(NamedTuple):
    """Which rows of a batch of `batch` images are at hand; randomness is drawn for all of them.

    sides: (2, B) heights and widths of those at hand, which lie in the top left corner where they are smaller than x;
    None: x is all image.
    """

    batch: int
    mine: np.ndarray
    sides: np.ndarray | None = None


Augmentation = Callable[[Tensor, np.random.Generator, int | None, Rows | None], Tensor]


def none(x: Tensor, generator: np.random.Generator, size: int | None = None, rows: Rows | None = None) -> Tensor:
    """Return the images as they are, or their centre where they are larger than `size`.

    All augmentations: x (B, 3, H, W) in [-1, 1] becomes (B, 3, size, size) in the same range, size being H if not
    given; rows: see Rows.
    """
    return centre_crop(x, size)


def shift(x: Tensor, generator: np.random.Generator, size: int | None = None, rows: Rows | None = None) -> Tensor:
    """Move half of the images by up to 1/32 of their side (1 of 32 pixels) both ways; the border is repeated.

    Mild by intent: twice as much lifts the base classifier of the default benchmark so far that its rare classes
    leave no room to tell methods apart.
    """
    x = centre_crop(x, size)
    n, mine = _rows(x, rows)
    moved = torch.from_numpy(generator.random(n)[mine] < 0.5).to(x.device)
    return torch.where(moved[:, None, None, None], _random_crop(x, x.shape[-1] // 32, generator, rows), x)


def flip(x: Tensor, generator: np.random.Generator, size: int | None = None, rows: Rows | None = None) -> Tensor:
    """Mirror half of the images. Not for digits or letters."""
    x = centre_crop(x, size)
    n, mine = _rows(x, rows)
    mirrored = torch.from_numpy(generator.random(n)[mine] < 0.5).to(x.device)
    return torch.where(mirrored[:, None, None, None], x.flip(-1), x)


def standard(
    x: Tensor, generator: np.random.Generator, size: int | None = None, rows: Rows | None = None, black: bool = False
) -> Tensor:
    """Crop after padding by an eighth (4 of 32 pixels), with the repeated border or black, and flip half of them."""
    x = centre_crop(x, size)
    return flip(_random_crop(x, x.shape[-1] // 8, generator, rows, black), generator, None, rows)


cifar = partial(standard, black=True)  # the published CIFAR recipe (He et al., section 4.2)


def photo(x: Tensor, generator: np.random.Generator, size: int | None = None, rows: Rows | None = None) -> Tensor:
    """Random resized crop of 0.7 to 1 of the area, and flip: the recipe of Waterbirds (Sagawa et al., ICLR 2020)."""
    return flip(_random_resized_crop(x, size or x.shape[-1], 0.7, generator, rows), generator, None, rows)


def imagenet(x: Tensor, generator: np.random.Generator, size: int | None = None, rows: Rows | None = None) -> Tensor:
    """Random resized crop of 0.08 to 1 of the area, flip, colour jitter 0.4: ImageNet-LT (Kang et al., ICLR 2020)."""
    x = flip(_random_resized_crop(x, size or x.shape[-1], 0.08, generator, rows), generator, None, rows)
    return _colour_jitter((x + 1) / 2, generator, rows) * 2 - 1


def imagenet_randaugment(
    x: Tensor, generator: np.random.Generator, size: int | None = None, rows: Rows | None = None
) -> Tensor:
    """Random resized crop and flip of `imagenet`, then RandAugment. Image by image: several times slower."""
    x = flip(_random_resized_crop(x, size or x.shape[-1], 0.08, generator, rows), generator, None, rows)
    return _two_changes(x, generator, rows)


def randaugment(x: Tensor, generator: np.random.Generator, size: int | None = None, rows: Rows | None = None) -> Tensor:
    """`shift`, then RandAugment: neither crop nor mirror, for digits or letters. Image by image, as it is."""
    return _two_changes(shift(x, generator, size, rows), generator, rows)


def pose(x: Tensor, generator: np.random.Generator, size: int | None = None, rows: Rows | None = None) -> Tensor:
    """Turn, scale, move and shear each image at random, on black: what the shipped generator's images of a class add
    to real ones of which each has one pose."""
    x = centre_crop(x, size)
    n, mine = _rows(x, rows)
    side = x.shape[-1]
    drawn = draw_poses(n, PoseRange(rotation=15, scale_min=0.85, scale_max=1.15, shift=side / 16, shear=5), generator)
    poses = Poses(drawn.rotation[mine], drawn.scale[mine], drawn.shift[mine], drawn.shear[mine])
    return apply_poses((x + 1) / 2, poses) * 2 - 1


def _two_changes(x: Tensor, generator: np.random.Generator, rows: Rows | None) -> Tensor:
    """Torchvision's RandAugment: two changes of strength 9 of 31."""
    from torchvision.transforms.v2 import RandAugment  # two seconds, which the default does not need

    n, mine = _rows(x, rows)
    seeds = generator.integers(2**63, size=n)[mine]
    change = RandAugment(num_ops=2, magnitude=9)
    pixels = ((x + 1) * 127.5).round().to(torch.uint8)
    changed = []
    for image, seed in zip(pixels, seeds, strict=True):
        with torch_seeded(int(seed)):
            changed.append(change(image))
    return torch.stack(changed).to(x.dtype) / 127.5 - 1


def _rows(x: Tensor, rows: Rows | None) -> tuple[int, slice | np.ndarray]:
    return (len(x), slice(None)) if rows is None else rows[:2]


def _random_crop(
    x: Tensor, padding: int, generator: np.random.Generator, rows: Rows | None, black: bool = False
) -> Tensor:
    pad = partial(F.pad, mode="constant", value=-1) if black else partial(F.pad, mode="replicate")
    padded = pad(x, (padding,) * 4)  # (B, 3, H + 2 padding, W + 2 padding)
    n, mine = _rows(x, rows)
    corners = generator.integers(2 * padding + 1, size=(2, n, 1))[:, mine]
    down = torch.from_numpy(corners[0] + np.arange(x.shape[-2])).to(x.device)  # (B, H)
    right = torch.from_numpy(corners[1] + np.arange(x.shape[-1])).to(x.device)  # (B, W)
    images = torch.arange(len(x), device=x.device)[:, None, None]
    # The channel axis goes last, next to where advanced indexing leaves it, and back.
    return padded.permute(0, 2, 3, 1)[images, down[:, :, None], right[:, None, :]].permute(0, 3, 1, 2)


def _random_resized_crop(
    x: Tensor, size: int, least: float, generator: np.random.Generator, rows: Rows | None
) -> Tensor:
    """Crop `least` to 1 of the area at 3:4 to 4:3, resized to size x size (bilinear, without antialiasing)."""
    n, mine = _rows(x, rows)
    whole = rows.sides if rows is not None and rows.sides is not None else np.array([*x.shape[-2:]])[:, None]
    corners, sides = _boxes(n, mine, whole, least, generator)
    down, right = (
        torch.from_numpy(_samples(corners[i], sides[i], size, x.shape[i - 2])).to(x) for i in (0, 1)
    )  # (B, size)
    shape = (len(x), size, size)
    grid = torch.stack([right[:, None, :].expand(shape), down[:, :, None].expand(shape)], -1)  # (B, size, size, 2)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True).clamp(-1, 1)


def _boxes(
    n: int, mine: slice | np.ndarray, whole: np.ndarray, least: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Top left corners and sides of the random crops of B of n images, each int64 (2, B), rows first.

    mine: which of the n. whole: heights and widths of these images, (2, B), or (2, 1) if all have the same.
    """
    area = whole[0] * whole[1] * generator.uniform(least, 1, (TRIES, n))[:, mine]
    ratio = np.exp(generator.uniform(np.log(3 / 4), np.log(4 / 3), (TRIES, n)))[:, mine]
    sides = np.stack([np.sqrt(area / ratio), np.sqrt(area * ratio)]).round().astype(np.int64)  # (2, TRIES, B)
    fits = (sides[0] <= whole[0]) & (sides[1] <= whole[1]) & (sides > 0).all(0)
    sides = np.where(fits.any(0), sides[:, fits.argmax(0), np.arange(sides.shape[2])], whole)  # (2, B)
    return np.floor(generator.random((2, n))[:, mine] * (whole - sides + 1)).astype(np.int64), sides


def _samples(corner: np.ndarray, side: np.ndarray, size: int, whole: int) -> np.ndarray:
    """Where to read `size` pixels from a crop's side of an axis of `whole` pixels, in grid_sample's [-1, 1]."""
    places = (np.arange(size) + 0.5) * side[:, None] / size - 0.5
    places = corner[:, None] + np.clip(places, 0, side[:, None] - 1)
    return 2 * places / max(whole - 1, 1) - 1


def _colour_jitter(x: Tensor, generator: np.random.Generator, rows: Rows | None) -> Tensor:
    """Brightness, contrast and saturation of x in [0, 1], in random order: each a blend with a poorer image."""
    from torchvision.transforms.v2.functional import rgb_to_grayscale

    n, mine = _rows(x, rows)
    factors = generator.uniform(1 - JITTER, 1 + JITTER, (3, n))[:, mine]
    order = generator.permuted(np.tile(np.arange(3)[:, None], n), axis=0)[:, mine]
    for kind, factor in zip(order, np.take_along_axis(factors, order, 0), strict=True):
        kinds, f = (torch.from_numpy(v).to(x.device)[:, None, None, None] for v in (kind, factor))
        f = f.to(x)
        grey = rgb_to_grayscale(x)  # (B, 1, H, W)
        poorer = torch.where(kinds == 0, 0.0, torch.where(kinds == 1, grey.mean((1, 2, 3), keepdim=True), grey))
        x = (f * x + (1 - f) * poorer).clamp(0, 1)
    return x


CROPPING = frozenset({"photo", "imagenet", "imagenet_randaugment"})  # which see whole images, others their middle
AUGMENTATIONS: dict[str, Augmentation] = {
    "none": none,
    "shift": shift,
    "flip": flip,
    "standard": standard,
    "cifar": cifar,
    "photo": photo,
    "imagenet": imagenet,
    "imagenet_randaugment": imagenet_randaugment,
    "randaugment": randaugment,
    "pose": pose,
}
