"""Augmentations: per image, reproducible, never outside the range of an image, and torchvision's where they are its."""

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torchvision.transforms import v2

from src.training import augmentation
from src.training.augmentation import (
    AUGMENTATIONS,
    Rows,
    cifar,
    flip,
    imagenet,
    imagenet_randaugment,
    photo,
    pose,
    randaugment,
    shift,
    standard,
)  # fmt: skip

X = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shape_and_range_stay_and_the_seed_decides(name: str) -> None:
    one, same = (AUGMENTATIONS[name](X, np.random.default_rng(3)) for _ in range(2))
    assert one.shape == X.shape and one.abs().max() <= 1
    assert torch.equal(one, same)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_larger_images_come_out_at_the_size_that_the_model_sees(name: str) -> None:
    assert AUGMENTATIONS[name](X, np.random.default_rng(0), 24).shape == (8, 3, 24, 24)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_part_of_the_batch_is_changed_as_it_is_within_the_whole(name: str) -> None:
    mine = np.array([1, 2, 6])
    whole = AUGMENTATIONS[name](X, np.random.default_rng(3), 24)
    part = AUGMENTATIONS[name](X[mine], np.random.default_rng(3), 24, Rows(8, mine))
    assert torch.allclose(part, whole[mine], atol=1e-6)


def test_the_global_random_state_is_left_alone() -> None:
    state = torch.get_rng_state()
    AUGMENTATIONS["randaugment"](X, np.random.default_rng(0))
    assert torch.equal(state, torch.get_rng_state())


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


@pytest.mark.parametrize("change", [flip, standard, cifar, photo, imagenet])
def test_about_half_of_the_images_are_mirrored(change) -> None:
    ramp = torch.linspace(-0.9, 1, 32).expand(400, 3, 32, 32)
    inner = change(ramp, np.random.default_rng(0))[..., 4:-4]
    assert 0.4 < (inner.diff(dim=-1) >= 0).all((1, 2, 3)).float().mean() < 0.6


def test_the_published_cifar_recipe_pads_with_black() -> None:
    white = torch.ones(200, 3, 32, 32)
    padded = cifar(white, np.random.default_rng(0))
    assert set(padded.unique().tolist()) == {-1.0, 1.0}
    black_columns = (padded == -1).all(2).all(1).sum(-1)
    assert black_columns.max() == 4
    assert torch.equal(standard(white, np.random.default_rng(0)), white)


@pytest.mark.parametrize(("change", "published"), [(photo, 0.7), (imagenet, 0.08), (imagenet_randaugment, 0.08)])
def test_published_recipes_crop_at_least_their_share_of_the_area(change, published, monkeypatch) -> None:
    crop, shares = augmentation._random_resized_crop, []

    def spy(x, size, least, *drawn):
        shares.append(least)
        return crop(x, size, least, *drawn)

    monkeypatch.setattr(augmentation, "_random_resized_crop", spy)
    change(X, np.random.default_rng(0))
    assert shares == [published]


def test_the_imagenet_recipe_changes_colours_and_that_of_photos_does_not() -> None:
    """Of grey images, only the brightness: by factors of 0.6 to 1.4."""
    grey = torch.zeros(400, 3, 8, 8)
    assert torch.equal(photo(grey, np.random.default_rng(0)), grey)
    brightness = imagenet(grey, np.random.default_rng(0)) + 1
    assert brightness.amin() == pytest.approx(0.6, abs=0.01) and brightness.amax() == pytest.approx(1.4, abs=0.01)
    assert (brightness - brightness[:, :1, :1, :1]).abs().max() < 1e-5


def test_randaugment_makes_two_changes_of_strength_9_in_each_image_as_bytes(monkeypatch) -> None:
    calls, images = [], []

    def spy(**settings):
        calls.append(settings)
        return lambda image: images.append(image) or 255 - image

    monkeypatch.setattr(v2, "RandAugment", spy)
    changed = imagenet_randaugment(X, np.random.default_rng(0))
    assert calls == [{"num_ops": 2, "magnitude": 9}]
    assert [(image.dtype, image.shape) for image in images] == [(torch.uint8, X.shape[1:])] * len(X)
    plain = flip(augmentation._random_resized_crop(X, 32, 0.08, generator := np.random.default_rng(0), None), generator)
    assert torch.allclose(changed, -plain, atol=1 / 255 + 1e-6)
    mild = shift(X, np.random.default_rng(0))  # for digits, which crops cut and mirrors turn into none
    assert torch.allclose(randaugment(X, np.random.default_rng(0)), -mild, atol=1 / 255 + 1e-6)


def test_pose_turns_and_moves_but_keeps_what_is_seen_of_it() -> None:
    square = torch.full((200, 3, 32, 32), -1.0)
    square[:, :, 12:20, 12:20] = 1
    posed = pose(square, np.random.default_rng(0))
    light = (posed + 1).sum((1, 2, 3)) / (square + 1).sum((1, 2, 3))
    assert posed.amin() >= -1 and posed.amax() <= 1 and len({image.numpy().tobytes() for image in posed}) == 200
    assert 0.85**2 - 0.02 < light.amin() < 0.8 and 1.2 < light.amax() < 1.15**2 + 0.02


def test_a_resized_crop_is_torchvisions() -> None:
    made = augmentation._random_resized_crop(X, 24, 0.08, np.random.default_rng(5), None)
    corners, sides = augmentation._boxes(8, slice(None), np.full((2, 1), 32), 0.08, np.random.default_rng(5))
    for image, original, (top, left), (height, width) in zip(made, X, corners.T, sides.T, strict=True):
        expected = v2.functional.resized_crop(original, top, left, height, width, [24, 24], antialias=False)
        assert torch.allclose(image, expected, atol=1e-5)


def test_crops_are_distributed_as_torchvisions() -> None:
    reference = v2.RandomResizedCrop(24, scale=(0.08, 1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = [reference.make_params([torch.zeros(3, 32, 32)]) for _ in range(3000)]
    expected = np.array([[d["top"], d["left"], d["height"], d["width"]] for d in drawn])
    ours = np.concatenate(augmentation._boxes(3000, slice(None), np.full((2, 1), 32), 0.08, np.random.default_rng(0))).T
    assert np.abs(ours.mean(0) - expected.mean(0)).max() < 0.5
    assert np.abs(ours.std(0) - expected.std(0)).max() < 0.5
    assert (ours[:, :2] + ours[:, 2:]).max() <= 32 and ours.min() >= 0


@pytest.mark.parametrize("least", [0.08, 0.7])
def test_areas_and_aspect_ratios_of_crops_follow_torchvisions_law(least: float) -> None:
    reference, image = v2.RandomResizedCrop(24, scale=(least, 1)), torch.zeros(1, 1, 1).expand(3, 1000, 1000)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = [reference.make_params([image]) for _ in range(20_000)]
    expected = np.array([[d["height"], d["width"]] for d in drawn]).T
    _, ours = augmentation._boxes(20_000, slice(None), np.full((2, 1), 1000), least, np.random.default_rng(0))
    for law in (lambda sides: np.log(sides[0] / sides[1]), lambda sides: sides.prod(0)):
        assert ks_2samp(law(ours), law(expected)).pvalue > 1e-3


def test_colour_jitter_is_torchvisions_in_the_drawn_order() -> None:
    x = (X + 1) / 2
    made = augmentation._colour_jitter(x, np.random.default_rng(5), None)
    generator = np.random.default_rng(5)
    factors = generator.uniform(0.6, 1.4, (3, 8))
    order = generator.permuted(np.tile(np.arange(3)[:, None], 8), axis=0)
    adjust = [v2.functional.adjust_brightness, v2.functional.adjust_contrast, v2.functional.adjust_saturation]
    assert len({tuple(kinds) for kinds in order.T}) > 1
    for i, image in enumerate(x):
        for kind in order[:, i]:
            image = adjust[kind](image, factors[kind, i])
        assert torch.allclose(made[i], image, atol=1e-5)
