"""The guided sampler against a slow, obvious one; what must not matter does not; unsuited schedulers are refused."""

import copy
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    PNDMScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)
from torch import Tensor

from src.errors import InputError
from src.feedback.guidance import RULES
from src.feedback.prediction import PREDICTION_TYPES
from src.feedback.sampling import SCHEDULERS, scheduler
from src.generators.tiny import components
from tests.feedback import fakes


def x0_and_eps(kind: str, z: Tensor, output: Tensor, a: float, s: float) -> tuple[Tensor, Tensor]:
    if kind == "epsilon":
        return (z - s * output) / a, output
    if kind == "v_prediction":
        return a * z - s * output, a * output + s * z
    return output, (z - a * output) / s


def slow_guided_sample(
    name: str, kind: str, rule: str, scale: float, guidance_scale: float, inputs: dict[str, Any]
) -> Tensor:
    """One image at a time; the gradient from a forward of its own, through the whole graph at once."""
    finished = []
    for i in range(len(inputs["z"])):
        schedule = fakes.noise_schedule(name, kind)
        z, label = inputs["z"][i : i + 1], inputs["labels"][i : i + 1]
        told, untold = ([part[i : i + 1] for part in inputs[side]] for side in ("condition", "absent"))
        for step, t in enumerate(schedule.timesteps.tolist()):
            a = float(schedule.alphas_cumprod[t]) ** 0.5
            s = (1 - float(schedule.alphas_cumprod[t])) ** 0.5
            without, with_ = fakes.denoise(z, t, *untold), fakes.denoise(z, t, *told)
            output = without + guidance_scale * (with_ - without)
            if step % 3 == 0:
                leaf = z.clone().requires_grad_()
                x0, _ = x0_and_eps(kind, leaf, fakes.denoise(leaf, t, *told), a, s)
                (g,) = torch.autograd.grad(fakes.value(fakes.decode(x0), label).sum(), leaf)
                if rule == "latent":
                    z = z + scale * z.norm() * g / g.norm()
                else:
                    _, eps = x0_and_eps(kind, z, output, a, s)
                    eps = eps - s * scale * g
                    x0 = (z - s * eps) / a
                    output = {"epsilon": eps, "v_prediction": a * eps - s * x0, "sample": x0}[kind]
            if name == "ddim":
                x0, eps = x0_and_eps(kind, z, output, a, s)
                before = t - 1000 // len(schedule.timesteps)
                alpha_bar = float(schedule.alphas_cumprod[max(before, 0)])
                z = alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * eps
            else:
                z = schedule.step(output, t, z).prev_sample
        finished.append(z)
    return torch.cat(finished)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", PREDICTION_TYPES)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_sampler_equals_the_slow_reference(name: str, kind: str, rule: str) -> None:
    inputs = fakes.batch(3)
    fast = fakes.run(name, kind, fakes.feedback(0.1, rule, micro_batch=2), inputs)
    slow = slow_guided_sample(name, kind, rule, 0.1, 3.0, inputs)
    assert (fast - slow).abs().max() <= 1e-12 * slow.abs().max()
    assert (fast - fakes.run(name, kind, None, inputs)).abs().max() > 1e-3  # guidance did something


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_scale_zero_equals_the_unguided_sampler_bit_for_bit(name: str, rule: str) -> None:
    inputs = fakes.batch(4, torch.float32)
    silent = fakes.feedback(0.0, rule)
    assert torch.equal(fakes.run(name, "v_prediction", silent, inputs), fakes.run(name, "v_prediction", None, inputs))
    assert silent.trace.before is None and silent.trace.updates == 0


@pytest.mark.parametrize("name", SCHEDULERS)
def test_without_classifier_free_guidance_the_absent_condition_is_never_asked(name: str) -> None:
    inputs = fakes.batch(3)
    poisoned = inputs | {"absent": tuple(torch.full_like(part, torch.nan) for part in inputs["absent"])}
    for listens in (None, fakes.feedback(0.1)):
        plain = fakes.run(name, "epsilon", copy.deepcopy(listens), inputs, scale=1.0)
        assert torch.equal(plain, fakes.run(name, "epsilon", listens, poisoned, scale=1.0))


@pytest.mark.parametrize("rule", RULES)
def test_the_micro_batch_size_changes_nothing(rule: str) -> None:
    inputs = fakes.batch(5)
    whole, single, uneven = (
        fakes.run("ddim", "v_prediction", fakes.feedback(0.1, rule, micro_batch=m), inputs) for m in (64, 1, 3)
    )
    assert (whole - single).abs().max() <= 1e-12
    assert (whole - uneven).abs().max() <= 1e-12


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_an_image_does_not_depend_on_its_batch_mates(name: str, rule: str) -> None:
    alone = fakes.run(name, "v_prediction", fakes.feedback(0.1, rule), fakes.batch(2))
    among = fakes.run(name, "v_prediction", fakes.feedback(0.1, rule), fakes.batch(9))
    assert (alone - among[:2]).abs().max() <= 1e-12


def test_guidance_keeps_to_its_steps() -> None:
    seen = fakes.feedback(0.1, every=2)
    fakes.run("ddim", "epsilon", seen, fakes.batch(2))
    assert seen.trace.updates.tolist() == [4, 4]  # steps 0, 2, 4, 6 of 8


@pytest.mark.parametrize("name", SCHEDULERS)
def test_latents_beyond_one_are_not_clipped(name: str) -> None:
    schedule = scheduler(name, components.scheduler().config)
    schedule.set_timesteps(4)
    z = torch.full((1, 4, 8, 8), 5.0)
    for t in schedule.timesteps.tolist():
        a = float(schedule.alphas_cumprod[t]) ** 0.5
        s = (1 - a**2) ** 0.5
        v = (a * z - 5.0) / s  # the model means x_0 = 5
        z = schedule.step(v, t, z).prev_sample
    assert z.mean() == pytest.approx(5.0, abs=0.5)


@pytest.mark.parametrize(("name", "reason"), [("unipc", "throws the feedback's update away"), ("pndm", "second")])
def test_unsuited_schedulers_are_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"'{name}'.*{reason}.*use ddim or dpmpp_2m"):
        scheduler(name, components.scheduler().config)


def test_an_unknown_scheduler_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="'euler' is unknown; choose one of ddim, dpmpp_2m"):
        scheduler("euler", components.scheduler().config)


def share_kept(schedule: SchedulerMixin, step: int) -> float:
    """How much of an update added to the latents at `step` is left in that step's result, output unchanged."""
    generator = torch.Generator().manual_seed(0)
    schedule.set_timesteps(20)
    z, update = torch.randn(2, 1, 4, 8, 8, generator=generator)
    for t in schedule.timesteps[:step]:
        z = schedule.step(torch.randn(z.shape, generator=generator), t, z).prev_sample
    output, t = torch.randn(z.shape, generator=generator), schedule.timesteps[step]
    plain = copy.deepcopy(schedule).step(output, t, z).prev_sample
    moved = copy.deepcopy(schedule).step(output, t, z + 0.03 * update).prev_sample
    return float((moved - plain).norm() / (0.03 * update).norm())


@pytest.mark.parametrize("step", [0, 1, 2, 5, 10])
def test_ddim_and_dpm_solver_keep_an_update_of_the_latents(step: int) -> None:
    config = components.scheduler().config
    assert share_kept(DDIMScheduler.from_config(config, clip_sample=False), step) > 0.95
    assert share_kept(DPMSolverMultistepScheduler.from_config(config), step) > 0.95


@pytest.mark.parametrize("step", [1, 2, 5, 10])
def test_unipc_throws_most_of_an_update_away(step: int) -> None:
    assert share_kept(UniPCMultistepScheduler.from_config(components.scheduler().config), step) < 0.13


def test_pndm_ignores_the_sample_at_its_second_call() -> None:
    assert share_kept(PNDMScheduler.from_config(components.scheduler().config), 1) == 0
