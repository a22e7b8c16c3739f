"""Augmentations: per image, reproducible, and never outside the range of an image."""

import numpy as np
import pytest
import torch

from src.training.augment import AUGMENTATIONS, shift, standard

X = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shape_and_range_stay_and_the_seed_decides(name: str) -> None:
    one, same = (AUGMENTATIONS[name](X, np.random.default_rng(3)) for _ in range(2))
    assert one.shape == X.shape and one.abs().max() <= 1
    assert torch.equal(one, same)


def test_shift_moves_about_half_of_the_images_each_as_a_whole_by_at_most_one_of_32_pixels() -> None:
    images = X.repeat(50, 1, 1, 1)
    moved = shift(images, np.random.default_rng(0))
    offsets = [
        next(
            (down, right)
            for down in (0, -1, 1)
            for right in (0, -1, 1)
            if torch.equal(image[:, 1:-1, 1:-1], original[:, 1 + down : 31 + down, 1 + right : 31 + right])
        )
        for image, original in zip(moved, images, strict=True)
    ]
    assert len(set(offsets)) == 9
    unmoved = np.mean([offset == (0, 0) for offset in offsets])
    assert abs(unmoved - (0.5 + 0.5 / 9)) < 0.08  # half stay, and one ninth of the others draw no move


def test_standard_mirrors_about_half_of_the_images() -> None:
    ramp = torch.linspace(-1, 1, 32).expand(400, 3, 32, 32)
    rising = (standard(ramp, np.random.default_rng(0)).diff(dim=-1) >= 0).all((1, 2, 3))
    assert 0.4 < rising.float().mean() < 0.6
