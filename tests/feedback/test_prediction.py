"""The prediction table against diffusers' noising and steps, and the score rule against its derivation in eps."""

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from src.feedback.update_rules import score_update
from src.generators.prediction import PREDICTION_TYPES, Noise, x0_hat
from src.generators.sampler import scheduler
from src.runtime.errors import InputError
from tests.feedback.fakes import noise_schedule


def draw(*shape: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(3))


def level(schedule: DDIMScheduler, t: int) -> Noise:
    alpha_bar = float(schedule.alphas_cumprod[t])
    return Noise(alpha_bar**0.5, (1 - alpha_bar) ** 0.5)


@pytest.mark.parametrize("t", [0, 500, 999])
@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_a_perfect_prediction_gives_back_what_the_scheduler_noised(kind: str, t: int) -> None:
    schedule = noise_schedule("ddim", kind)
    x0, eps, _ = draw(3, 2, 4, 4)
    at = torch.full((3,), t)
    z = schedule.add_noise(x0, eps, at)
    output = {"epsilon": eps, "v_prediction": schedule.get_velocity(x0, eps, at), "sample": x0}[kind]
    assert torch.allclose(x0_hat(kind, z, output, level(schedule, t)), x0, rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_x0_hat_is_what_the_ddim_step_itself_predicts(kind: str) -> None:
    schedule = noise_schedule("ddim", kind)
    z, output, _ = draw(3, 2, 4, 4)
    for t in schedule.timesteps.tolist():
        own = schedule.step(output, t, z).pred_original_sample
        assert torch.allclose(x0_hat(kind, z, output, level(schedule, t)), own, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_x0_hat_is_what_dpm_solver_works_with(kind: str) -> None:
    schedule = noise_schedule("dpmpp_2m", kind)
    z, output, _ = draw(3, 2, 4, 4)
    for t in schedule.timesteps.tolist():
        schedule._init_step_index(t)
        own = schedule.convert_model_output(output, sample=z)
        # Its table of noise levels is float32, whose error grows by s/a = 15 at the noisy end.
        assert torch.allclose(x0_hat(kind, z, output, level(schedule, t)), own, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_the_score_rule_moves_eps_by_minus_s_g_whatever_the_model_predicts(kind: str) -> None:
    a, s = 0.6, 0.8
    z, output, g = draw(3, 2, 4, 4)
    x0 = x0_hat(kind, z, output, Noise(a, s))
    moved_eps = (z - a * x0) / s - s * g
    moved_x0 = (z - s * moved_eps) / a
    expected = {"epsilon": moved_eps, "v_prediction": a * moved_eps - s * moved_x0, "sample": moved_x0}[kind]
    assert torch.allclose(score_update(kind, output, g, Noise(a, s)), expected, rtol=0, atol=1e-13)


def test_the_score_rule_gives_one_ddim_step_for_all_prediction_types() -> None:
    x0, eps, g = draw(3, 2, 4, 4)
    stepped = []
    for kind in PREDICTION_TYPES:
        schedule = noise_schedule("ddim", kind)
        t = int(schedule.timesteps[3])
        at = torch.full((3,), t)
        z = schedule.add_noise(x0, eps, at)
        output = {"epsilon": eps, "v_prediction": schedule.get_velocity(x0, eps, at), "sample": x0}[kind]
        guided = score_update(kind, output, 0.05 * g, level(schedule, t))
        stepped.append(schedule.step(guided, t, z).prev_sample)
    assert torch.allclose(stepped[0], stepped[1], rtol=0, atol=1e-12)
    assert torch.allclose(stepped[0], stepped[2], rtol=0, atol=1e-12)


def test_an_unknown_prediction_type_lists_the_known_ones() -> None:
    config = {**noise_schedule("ddim", "epsilon").config, "prediction_type": "velocity"}
    with pytest.raises(InputError, match="unknown prediction type 'velocity'; choose one of: epsilon, v_prediction"):
        scheduler("ddim", config)
