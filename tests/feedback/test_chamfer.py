"""Chamfer guidance: the distance against loops over pairs, its gradient, and cohorts that are never cut."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from src.feedback.chamfer import ChamferCriterion, chamfer
from src.feedback.guidance import Feedback
from src.generators.diffusion_model import DiffusionModel
from src.runtime.errors import InputError
from tests.feedback import fakes
from tests.feedback.settings import feedback_settings

REAL = np.array([0, 0, 0, 0, 0, 1, 1, 2])


def features(images: Tensor) -> Tensor:
    """Of images (B, 3, 4, 4), differentiable and without kinks."""
    weights = torch.randn(48, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return torch.tanh(images.flatten(1) @ weights.to(images))


def known(count: int = len(REAL)) -> Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


def criterion(exemplars: int = 9) -> ChamferCriterion:
    return ChamferCriterion(features, known(), REAL, exemplars, 4)


def slow_chamfer(x: np.ndarray, y: np.ndarray) -> float:
    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sqrt(((a / np.sqrt((a**2).sum()) - b / np.sqrt((b**2).sum())) ** 2).sum()))

    covered = [min(apart(a, b) for b in y) for a in x]
    near = [min(apart(a, b) for a in x) for b in y]
    return sum(covered) / len(covered) + sum(near) / len(near)


@pytest.mark.parametrize(("real", "made"), [(1, 1), (5, 3), (2, 7)])
def test_the_distance_is_that_of_loops_over_all_pairs(real: int, made: int) -> None:
    x, y = known(12)[:real], known(12)[12 - made :]
    assert float(chamfer(x, y)) == pytest.approx(slow_chamfer(x.numpy(), y.numpy()), rel=1e-9)


def test_copies_of_all_real_images_are_at_distance_zero_and_copies_of_one_are_not() -> None:
    x = known(4)
    assert float(chamfer(x, 3 * x)) == pytest.approx(0, abs=1e-6)  # length is of no account
    assert float(chamfer(x, x[:1].expand(4, 6))) > 0.1


def test_every_image_of_a_cohort_has_its_value_and_the_sum_its_gradient() -> None:
    images = fakes.decode(fakes.batch(5)["z"]).requires_grad_()
    values = criterion()(images, torch.tensor([0, 0, 0, 2, 2]), [8, 8, 8, 9, 9])
    distances = [chamfer(known()[:5], features(images[:3])), chamfer(known()[7:], features(images[3:]))]
    assert torch.allclose(values, -torch.stack([distances[0]] * 3 + [distances[1]] * 2))
    mine, theirs = (torch.autograd.grad(total, images)[0] for total in (values.sum(), -sum(distances)))
    assert torch.allclose(mine, theirs, rtol=0, atol=1e-12)


def test_a_cohort_draws_exemplars_of_its_class_the_same_ones_whatever_else_is_made() -> None:
    few = criterion(exemplars=2)
    drawn = {cohort: few.drawn(0, cohort) for cohort in range(20)}
    pool = known()[:5]
    assert all(len(chosen) == 2 and all((row == pool).all(1).any() for row in chosen) for chosen in drawn.values())
    assert len({tuple(chosen.flatten().tolist()) for chosen in drawn.values()}) > 3
    assert torch.equal(criterion(exemplars=2).drawn(0, 7), drawn[7])
    assert torch.equal(few.drawn(2, 3), known()[7:])  # a class of one image


@pytest.mark.parametrize("rule", ["latent", "x0"])
def test_guidance_brings_cohorts_nearer_to_real_images_whatever_the_micro_batch(rule: str) -> None:
    inputs, cohorts = fakes.batch(6), [1, 1, 1, 2, 2, 2]
    inputs["labels"] = torch.tensor([0, 0, 0, 1, 1, 1])
    settings = feedback_settings(criterion="chamfer", cohort=3, scale=0.05, rule=rule)
    judge = criterion()
    plain = fakes.decode(fakes.run("ddim", "epsilon", None, inputs))
    made = []
    for micro_batch in (3, 4, 64):
        steps = fakes.noise_schedule("ddim", "epsilon")
        denoiser = fakes.ClassifierFreeGuidance(fakes.denoise, "epsilon", inputs["condition"], inputs["absent"], 3.0)
        feedback = Feedback(judge, settings, fakes.decode)
        predict, trace = feedback.wrap(denoiser, inputs["labels"], micro_batch, range(6), cohorts)
        made.append(fakes.decode(fakes.sample(predict, steps, inputs["z"])))
        assert torch.as_tensor(trace.updates).tolist() == [8] * 6
    after, before = (judge(images, inputs["labels"], cohorts) for images in (made[0], plain))
    assert (after > before + 0.01).all()
    assert (made[0] - made[1]).abs().max() <= 1e-12 and (made[0] - made[2]).abs().max() <= 1e-12


def test_a_class_without_real_images_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="class 3 has no real image that chamfer guidance could lead to"):
        criterion().drawn(3, 1)


def test_the_gradient_does_not_jump_where_an_image_would_be_rounded_the_other_way(frozen: DiffusionModel) -> None:
    """As another batch's last digit might have it: rounding to 256 levels would turn that into a step."""
    draws = torch.Generator().manual_seed(0)
    halves = (torch.randint(0, 254, (4, 3, 32, 32), generator=draws) + 0.5) / 127.5 - 1

    def change(rounded: bool) -> float:
        known = frozen.embed(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1)
        judge = ChamferCriterion(partial(frozen.embed, rounded=rounded), known, np.array([0, 1]), 8, 32)
        gradients = []
        for nudge in (-1e-6, 1e-6):
            x = (halves + nudge).requires_grad_()
            judge(x, torch.tensor([0, 0, 1, 1]), [5, 5, 6, 6]).sum().backward()
            gradients.append(x.grad)
        return float((gradients[0] - gradients[1]).norm() / gradients[0].norm())

    assert change(rounded=False) < 0.01 < change(rounded=True)
