"""Poses against what they mean: identity, quarter turns, whole-pixel shifts, zoom; and ranges that make no sense."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src.data.pose import Poses, apply_poses, draw_poses
from src.runtime.errors import InputError
from src.settings.dataset_settings import PoseRange

RANGE = PoseRange(rotation=20, scale_min=0.7, scale_max=1.05, shift=3, shear=5)


def pose(rotation: float = 0, scale: float = 1, shift: tuple[float, float] = (0, 0), shear: float = 0) -> Poses:
    return Poses(np.array([rotation]), np.array([scale]), np.array([shift]), np.array([shear]))


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_neutral_pose_changes_nothing(image: torch.Tensor) -> None:
    assert torch.allclose(apply_poses(image, pose()), image, rtol=0, atol=1e-12)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_quarter_turn_is_clockwise_on_the_screen(image: torch.Tensor, quarters: int) -> None:
    turned = apply_poses(image, pose(rotation=90 * quarters))
    assert torch.allclose(turned, torch.rot90(image, -quarters, (2, 3)), rtol=0, atol=1e-12)


def test_a_shift_is_in_pixels_to_the_right_and_down_and_black_enters(image: torch.Tensor) -> None:
    shifted = apply_poses(image, pose(shift=(3, 2)))
    assert torch.allclose(shifted[..., 2:, 3:], image[..., :-2, :-3], rtol=0, atol=1e-12)
    assert not shifted[..., :2, :].any() and not shifted[..., :, :3].any()


def test_scale_is_a_factor_of_the_objects_size() -> None:
    square = torch.zeros(1, 1, 32, 32)
    square[..., 12:20, 12:20] = 1
    for scale in (0.5, 1.5):
        area = apply_poses(square, pose(scale=scale)).sum() / square.sum()
        assert area == pytest.approx(scale**2, rel=0.05)


def test_shear_slants_and_keeps_the_area() -> None:
    bar = torch.zeros(1, 1, 32, 32)
    bar[..., 8:24, 14:18] = 1
    sheared = apply_poses(bar, pose(shear=30))
    rows = torch.arange(32.0)
    centre = (sheared[0, 0] * rows).sum(1) / sheared[0, 0].sum(1).clamp(min=1e-9)
    assert centre[20] - centre[11] == pytest.approx(9 * np.tan(np.pi / 6), abs=0.2)
    assert sheared.sum().item() == pytest.approx(bar.sum().item(), rel=0.02)


def test_every_image_has_its_own_pose(image: torch.Tensor) -> None:
    poses = draw_poses(3, RANGE, np.random.default_rng(0))
    together = apply_poses(image.expand(3, -1, -1, -1), poses)
    for i in range(3):
        own = Poses(*(getattr(poses, name)[i : i + 1] for name in ("rotation", "scale", "shift", "shear")))
        assert torch.allclose(apply_poses(image, own)[0], together[i], rtol=0, atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 50))
def test_poses_lie_in_their_range_and_repeat_with_their_seed(seed: int, count: int) -> None:
    poses, same = (draw_poses(count, RANGE, np.random.default_rng(seed)) for _ in range(2))
    assert poses.shift.shape == (count, 2)
    for name, low, high in (("rotation", -20, 20), ("scale", 0.7, 1.05), ("shift", -3, 3), ("shear", -5, 5)):
        drawn = getattr(poses, name)
        assert len(drawn) == count and (low <= drawn).all() and (drawn <= high).all()
        assert np.array_equal(drawn, getattr(same, name))


@pytest.mark.parametrize(
    "change",
    [
        {"scale_min": 0},
        {"scale_min": 1.2},
        {"scale_max": float("nan")},
        {"rotation": -1},
        {"shift": -0.5},
        {"shear": -2},
        {"shear": 80},
    ],
)
def test_a_range_that_makes_no_sense_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(InputError, match="pose"):
        dataclasses.replace(RANGE, **change)
