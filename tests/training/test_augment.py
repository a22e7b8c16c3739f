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


def test_shift_moves_each_image_as_a_whole_by_at_most_two_of_32_pixels() -> None:
    moved = shift(X, np.random.default_rng(0))
    offsets = [
        next(
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if torch.equal(image[:, 2:-2, 2:-2], original[:, 2 + down : 30 + down, 2 + right : 30 + right])
        )
        for image, original in zip(moved, X, strict=True)
    ]
    assert len(set(offsets)) > 1


def test_standard_mirrors_about_half_of_the_images() -> None:
    ramp = torch.linspace(-1, 1, 32).expand(400, 3, 32, 32)
    rising = (standard(ramp, np.random.default_rng(0)).diff(dim=-1) >= 0).all((1, 2, 3))
    assert 0.4 < rising.float().mean() < 0.6
