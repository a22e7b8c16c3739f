"""The real digits as the repository sees them: all of them, upsampled, each posed once from the seed."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from src.data.digits import CLASS_NAMES, posed_digits, upsample
from src.settings.dataset_settings import PoseRange

POSE = PoseRange(rotation=20, scale_min=0.7, scale_max=1.05, shift=3, shear=5)
NEUTRAL = PoseRange(rotation=0, scale_min=1, scale_max=1, shift=0, shear=0)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    return posed_digits(32, POSE, np.random.default_rng(0))


def test_all_real_digits_are_there_with_their_labels(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits
    assert images.shape == (1797, 32, 32, 3) and images.dtype == np.uint8
    assert np.array_equal(labels, load_digits().target) and labels.dtype == np.int64
    assert len(CLASS_NAMES) == 10 and set(labels) == set(range(10))


def test_digits_are_grey_ink_on_black(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, _ = digits
    assert np.array_equal(images[..., 0], images[..., 1]) and np.array_equal(images[..., 0], images[..., 2])
    assert (images == 0).mean() > 0.4 and (images.reshape(1797, -1).max(1) > 150).all()


def test_the_seed_decides_the_poses(digits: tuple[np.ndarray, np.ndarray]) -> None:
    assert np.array_equal(posed_digits(32, POSE, np.random.default_rng(0))[0], digits[0])
    assert not np.array_equal(posed_digits(32, POSE, np.random.default_rng(1))[0], digits[0])


def test_without_a_pose_the_images_are_the_upsampled_scans() -> None:
    images, _ = posed_digits(16, NEUTRAL, np.random.default_rng(0))
    scans = torch.from_numpy(load_digits().images / 16).float()[:, None]
    expected = (upsample(scans, 16)[:, 0] * 255).numpy()
    assert np.abs(images[..., 0] - expected).max() <= 0.51


def test_upsampling_stays_in_range_and_keeps_a_constant() -> None:
    scans = torch.randint(0, 17, (5, 1, 8, 8), generator=torch.Generator().manual_seed(0)) / 16
    assert upsample(scans, 32).min() >= 0 and upsample(scans, 32).max() <= 1
    assert torch.allclose(upsample(torch.full((1, 1, 8, 8), 0.25), 32), torch.tensor(0.25))
