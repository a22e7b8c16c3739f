"""Every exact lever of the guided sampler on the real UNet and VAE code, with random weights.

In float64 the answer is that of the slow reference; in float32 batches differ by rounding, as stated.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from src.classifiers.models import build
from src.feedback.classifier_criterion import criterion_value
from src.feedback.criteria import criterion
from src.feedback.guidance import loss_scale
from src.feedback.update_rules import RULES
from src.generators.diffusion_model import DiffusionModel
from src.generators.prediction import PREDICTION_TYPES, Noise, x0_hat
from src.generators.sampler import SCHEDULERS, Denoise
from tests.feedback.fakes import Listener, guide, noise_schedule, sampled, scheduled
from tests.feedback.reference import criterion_gradient, slow_sample

PROMPTS = ["a photo of a seven", "a photo of a bold three", "a photo of a letter k", "", "a photo of a thin nine"]
T, STEPS = 400, 3
# Batches of other sizes take other kernels, which sum in another order: a relative 6e-8 at each of some tens of layers,
# three steps long. About 1e-6 is seen; a whole-batch norm would show at 1e-2.
FLOAT32 = 1e-5
STRENGTH = {"latent": 0.05, "score": 100.0, "x0": 0.05}  # the untrained classifier is nearly flat


def value(images: Tensor, labels: Tensor) -> Tensor:
    """The loss of an untrained classifier."""
    return JUDGES[images.dtype](images, labels)


JUDGES = {
    dtype: criterion_value(build("small_cnn", 3, 32, 0).to(dtype).eval().requires_grad_(False), criterion("loss"))
    for dtype in (torch.float32, torch.float64)
}


def batch(model: DiffusionModel, count: int) -> dict[str, Any]:
    """Noise, conditions and labels of `count` images; a smaller batch is the beginning of a larger one."""
    dtype = torch.promote_types(model.dtype, torch.float32)
    draws = [torch.Generator().manual_seed(i) for i in range(count)]
    z = torch.stack([torch.randn(model.latent_shape, generator=g, dtype=torch.float64) for g in draws])
    width = model.pipeline.image_encoder.config.projection_dim
    embeddings = torch.stack([torch.randn(width, generator=g) for g in draws])
    condition = {**model.text(PROMPTS[:count]), **model.image(embeddings, 0, torch.zeros_like(embeddings))}
    return {
        "z": z.to(dtype),
        "condition": {name: told.to(dtype) for name, told in condition.items()},
        "absent": {name: told.to(dtype) for name, told in model.absent(count, image=True).items()},
        "labels": torch.arange(count) % 3,
    }


def feedback(model: DiffusionModel, rule: str, micro_batch: int = 64, mix: bool = False, judge=value) -> Listener:
    """Feedback at every second step from the first."""
    return Listener(judge, scheduled(STRENGTH[rule], 2, 0, None, rule, mix), model.decode, micro_batch)


def run(model: DiffusionModel, name: str, kind: str, listens: Listener | None, inputs: dict[str, Any]) -> Tensor:
    return sampled(model.denoise, noise_schedule(name, kind, STEPS), listens, inputs)


def difference(found: Tensor, wanted: Tensor) -> float:
    """The largest difference, relative to the largest entry."""
    return float((found - wanted).detach().abs().max() / wanted.detach().abs().max())


def thawed_denoise(model: DiffusionModel) -> Denoise:
    return lambda z, t, told: model.pipeline.unet(z, t, told["states"], class_labels=told["class_labels"]).sample


def thawed_decode(model: DiffusionModel) -> Callable[[Tensor], Tensor]:
    vae = model.pipeline.vae
    return lambda z: vae.decode(z / vae.config.scaling_factor).sample


@pytest.mark.parametrize(
    ("name", "rule", "mix"),
    [*((name, rule, False) for name in SCHEDULERS for rule in RULES), ("ddim", "latent", True)],
)
@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_all_levers_together_equal_the_slow_reference(
    frozen: DiffusionModel, thawed: DiffusionModel, name: str, kind: str, rule: str, mix: bool
) -> None:
    inputs = batch(frozen, 2)
    fast = run(frozen, name, kind, feedback(frozen, rule, 1, mix), inputs)
    networks = thawed_denoise(thawed), thawed_decode(thawed), value
    slow = slow_sample(
        *networks, lambda: noise_schedule(name, kind, STEPS), inputs, rule, STRENGTH[rule], every=2, mix=mix
    )
    assert difference(fast, slow) <= 1e-12
    assert difference(run(frozen, name, kind, None, inputs), slow) > 1e-3  # guidance did something


def test_two_text_encoders_and_an_image_adapter_are_sampled_exactly_too(sdxl: DiffusionModel) -> None:
    inputs = batch(sdxl, 2)
    assert set(inputs["condition"]) == set(inputs["absent"]) == {"states", "pooled", "embedding"}
    fast = run(sdxl, "ddim", "epsilon", feedback(sdxl, "latent", 1), inputs)
    networks = sdxl.denoise, sdxl.decode, value
    slow = slow_sample(
        *networks, lambda: noise_schedule("ddim", "epsilon", STEPS), inputs, "latent", STRENGTH["latent"], 2, False
    )
    assert difference(fast, slow) <= 1e-12


@pytest.mark.parametrize("micro_batch", [1, 2, 64])
def test_a_graph_cut_at_x0_hat_and_micro_batches_give_the_gradient_of_the_whole_graph(
    frozen: DiffusionModel, micro_batch: int
) -> None:
    inputs, noise = batch(frozen, 3), Noise(0.6, 0.8)
    z, told, labels = inputs["z"], inputs["condition"], inputs["labels"]

    def predict(x: Tensor) -> Tensor:
        return frozen.denoise(x, T, told)

    def climbed(x: Tensor) -> Tensor:
        return value(frozen.decode(x0_hat("v_prediction", x, predict(x), noise)), labels)

    g = criterion_gradient(climbed, z)
    listens = feedback(frozen, "score", micro_batch)
    _, _, added = guide(listens, "v_prediction", predict, z, noise, labels)
    assert difference(added, -noise.s / noise.a * STRENGTH["score"] * g) <= 1e-12
    assert difference(listens.trace.before, climbed(z).detach()) <= 1e-12


def test_the_conditional_half_alone_is_the_one_of_the_joint_forward(frozen: DiffusionModel) -> None:
    inputs = batch(frozen, 3)
    z, told, untold = inputs["z"], inputs["condition"], inputs["absent"]
    both = {name: torch.cat([untold[name], told[name]]) for name in told}
    joint = frozen.denoise(torch.cat([z, z]), T, both).chunk(2)
    for found, side in zip(joint, (untold, told), strict=True):
        assert difference(found, frozen.denoise(z, T, side)) <= 1e-12


@pytest.mark.parametrize(("name", "rule"), [("ddim", "latent"), ("dpmpp_2m", "score")])
def test_batch_and_micro_batch_change_nothing_beyond_rounding(
    formats: dict[torch.dtype, DiffusionModel], name: str, rule: str
) -> None:
    for model, tolerance in ((formats[torch.float64], 1e-12), (formats[torch.float32], FLOAT32)):
        among = run(model, name, "v_prediction", feedback(model, rule, 64), batch(model, 4))
        parts = run(model, name, "v_prediction", feedback(model, rule, 3), batch(model, 4))
        alone = run(model, name, "v_prediction", feedback(model, rule, 64), batch(model, 1))
        assert difference(parts, among) <= tolerance
        assert difference(alone, among[:1]) <= tolerance


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("bad", [0.0, math.nan])
def test_a_sample_without_a_gradient_is_left_alone_and_leaves_its_mates_alone(
    formats: dict[torch.dtype, DiffusionModel], dtype: torch.dtype, bad: float, rule: str
) -> None:
    model = formats[dtype]
    inputs, noise = batch(model, 3), Noise(0.6, 0.8)

    def broken(images: Tensor, labels: Tensor) -> Tensor:
        return value(images, labels) * torch.where(labels == 1, bad, 1.0)

    def predict(x: Tensor) -> Tensor:
        return model.denoise(x, T, inputs["condition"])

    made = {}
    for judge in (value, broken):
        listens = feedback(model, rule, judge=judge)
        listens = replace(listens, loss_scale=loss_scale(dtype))
        _, moved, added = guide(listens, "v_prediction", predict, inputs["z"], noise, inputs["labels"])
        made[judge] = moved - inputs["z"] + added
    assert listens.trace.updates.tolist() == [1, 0, 1] and listens.trace.skipped.tolist() == [0, 1, 0]
    assert made[value].flatten(1).any(1).all() and not made[broken][1].any()
    assert torch.equal(made[value][[0, 2]], made[broken][[0, 2]])
