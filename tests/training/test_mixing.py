"""Mixing: images and targets stay in step."""

import numpy as np
import pytest
import torch

from src.training.mixing import MIXING, NEEDS_SECOND_BATCH, cmo, cutmix, mixup

# Image k is filled with the value k and labelled k, so a target can be read off the pixels.
VALUES = torch.arange(6.0)
X = VALUES.view(6, 1, 1, 1).expand(6, 3, 16, 16)
TARGETS = torch.eye(6)


@pytest.mark.parametrize("name", MIXING)
@pytest.mark.parametrize("seed", range(5))
def test_targets_say_how_much_of_each_image_is_seen(name: str, seed: int) -> None:
    more = {"second": (X.flip(0), TARGETS.flip(0))} if name in NEEDS_SECOND_BATCH else {}
    x, targets = MIXING[name](X, TARGETS, 1.0, np.random.default_rng(seed), **more)
    assert torch.allclose(targets.sum(1), torch.ones(6))
    assert torch.allclose(x.mean((1, 2, 3)), targets @ VALUES, atol=1e-5)


def test_no_mixing_returns_the_batch_itself() -> None:
    x, targets = MIXING["none"](X, TARGETS, 1.0, np.random.default_rng(0))
    assert x is X and targets is TARGETS


def test_cutmix_shows_every_pixel_unblended_and_leaves_its_input_alone() -> None:
    before = X.clone()
    x, _ = cutmix(X, TARGETS, 1.0, np.random.default_rng(1))
    assert torch.isin(x, VALUES).all() and not torch.equal(x, X) and torch.equal(before, X)


class ThreeQuarters:
    """A generator whose lambda is 0.75, with a rectangle in the middle; notes the distributions it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []

    def beta(self, a: float, b: float) -> float:
        self.asked.append((a, b))
        return 0.75

    def permutation(self, n: int) -> np.ndarray:
        return np.arange(n)[::-1].copy()

    def integers(self, n: int) -> int:
        return n // 2

    def random(self) -> float:
        return 0.0


@pytest.mark.parametrize("name", ["mixup", "cutmix", "cmo"])
def test_an_image_keeps_the_share_lambda_of_beta_alpha_alpha(name: str) -> None:
    generator, others = ThreeQuarters(), (X.flip(0), TARGETS.flip(0))
    more = {"second": others} if name in NEEDS_SECOND_BATCH else {}
    x, targets = MIXING[name](X, TARGETS, 0.3, generator, **more)
    assert generator.asked == [(0.3, 0.3)]
    assert torch.equal(targets, 0.75 * TARGETS + 0.25 * others[1])
    if name == "mixup":
        assert torch.equal(x, 0.75 * X + 0.25 * others[0])
    else:
        pasted = X.clone()
        pasted[..., 4:12, 4:12] = others[0][..., 4:12, 4:12]  # 8 x 8 of 16 x 16 pixels are a quarter
        assert torch.equal(x, pasted)


def test_a_small_alpha_hardly_mixes() -> None:
    generator = np.random.default_rng(0)
    largest = torch.stack([mixup(X, TARGETS, 0.01, generator)[1].amax(1).min() for _ in range(50)])
    assert largest.median() > 0.99


def test_cmo_pastes_a_rectangle_of_the_second_batch_and_its_targets_follow_the_area() -> None:
    second = (torch.full_like(X, 9.0), torch.eye(6).roll(1, 0))
    before, pasted, mixed = X.clone(), second[0].clone(), 0
    for seed in range(40):
        x, targets = cmo(X, TARGETS, 1.0, np.random.default_rng(seed), second=second)
        foreign = (x == 9)[:, 0]  # (B, 16, 16)
        area = foreign[0].float().mean()
        assert foreign.equal(foreign[:1].expand(6, -1, -1))
        rows, columns = foreign[0].any(1).sum(), foreign[0].any(0).sum()
        assert rows * columns == foreign[0].sum()
        assert torch.allclose(targets, (1 - area) * TARGETS + area * second[1])
        assert torch.equal(x.masked_select(~foreign[:, None]), X.masked_select(~foreign[:, None]))
        mixed += int(area > 0)
    assert torch.equal(X, before) and torch.equal(second[0], pasted)
    assert 10 < mixed < 25, "about half of the batches stay as they are, and a few rectangles are empty"
