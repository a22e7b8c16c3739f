"""One guided prediction: gradients against finite differences, samples that cannot be guided, the schedule."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from src.classifiers.models import build
from src.feedback.class_gaussians import fit_gaussians
from src.feedback.classifier_criterion import criterion_value
from src.feedback.criteria import criterion
from src.feedback.guidance import feedback_on
from src.generators.diffusion_model import DiffusionModel
from src.generators.prediction import PREDICTION_TYPES, Noise, x0_hat
from src.generators.sampler import SCHEDULERS, ClassifierFreeGuidance, Step
from src.runtime.errors import InputError
from tests.feedback import fakes
from tests.feedback.fakes import Listener, guide, scheduled
from tests.feedback.settings import feedback_settings

NOISE = Noise(0.6, 0.8)
T = 400


def predictor(inputs: dict[str, object]) -> Callable[[Tensor], Tensor]:
    return lambda z: fakes.denoise(z, T, inputs["condition"])


def guided(kind: str, listens: Listener, count: int = 3) -> tuple[Tensor, Tensor]:
    """The moved latents, and what the score rule adds to an output of zeros."""
    inputs = fakes.batch(count)
    _, moved, added = guide(listens, kind, predictor(inputs), inputs["z"], NOISE, inputs["labels"])
    return moved, added


def numerical_gradient(kind: str, step: float = 1e-6) -> Tensor:
    """Central differences of the criterion of the decoded x0_hat, pixel by pixel of z."""
    inputs = fakes.batch(3)

    def climbed(z: Tensor) -> Tensor:
        x0 = x0_hat(kind, z, predictor(inputs)(z), NOISE)
        return fakes.value(fakes.decode(x0), inputs["labels"])

    gradient = torch.zeros_like(inputs["z"])
    for index in range(gradient[0].numel()):
        nudge = torch.zeros_like(gradient).flatten(1)
        nudge[:, index] = step
        nudge = nudge.view_as(gradient)
        gradient.flatten(1)[:, index] = (climbed(inputs["z"] + nudge) - climbed(inputs["z"] - nudge)) / (2 * step)
    return gradient


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_the_score_rule_carries_the_gradient_of_finite_differences(kind: str) -> None:
    factor = {"epsilon": -NOISE.s, "v_prediction": -NOISE.s / NOISE.a, "sample": NOISE.s**2 / NOISE.a}[kind]
    unmoved, added = guided(kind, fakes.feedback(0.5, "score"))
    assert torch.equal(unmoved, fakes.batch(3)["z"])
    assert torch.allclose(added, factor * 0.5 * numerical_gradient(kind), rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_the_latent_rule_moves_each_sample_by_the_share_w_of_its_norm_uphill(kind: str) -> None:
    z, g = fakes.batch(3)["z"].flatten(1), numerical_gradient(kind).flatten(1)
    moved, added = guided(kind, fakes.feedback(0.03))
    expected = 0.03 * z.norm(dim=1, keepdim=True) * g / g.norm(dim=1, keepdim=True)
    assert torch.allclose(moved.flatten(1) - z, expected, rtol=0, atol=1e-8)
    assert not added.any()


def test_the_conditional_output_is_the_unguided_one() -> None:
    inputs = fakes.batch(3)
    output, _, _ = guide(fakes.feedback(1.0), "epsilon", predictor(inputs), inputs["z"], NOISE, inputs["labels"])
    assert torch.equal(output, predictor(inputs)(inputs["z"])) and not output.requires_grad


def test_the_trace_keeps_the_first_criterion_and_counts_every_step() -> None:
    inputs, seen = fakes.batch(3), fakes.feedback(0.1)
    fakes.run("ddim", "epsilon", seen, inputs)
    t = int(fakes.noise_schedule("ddim", "epsilon").timesteps[0])
    alpha_bar = float(fakes.noise_schedule("ddim", "epsilon").alphas_cumprod[t])
    noise = Noise(alpha_bar**0.5, (1 - alpha_bar) ** 0.5)
    x0 = x0_hat("epsilon", inputs["z"], fakes.denoise(inputs["z"], t, inputs["condition"]), noise)
    assert torch.allclose(seen.trace.before, fakes.value(fakes.decode(x0), inputs["labels"]))
    assert seen.trace.updates.tolist() == [3, 3, 3] and seen.trace.skipped.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize(("rule", "scale"), [("latent", 0.05), ("score", 0.5)])
@pytest.mark.parametrize("climbed", ["loss", "entropy", "hardness", "margin", "0.7*entropy+0.3*loss"])
def test_guidance_raises_its_own_criterion(climbed: str, rule: str, scale: float, name: str) -> None:
    model = build("small_cnn", fakes.CLASSES, 8, seed=0).double().eval().requires_grad_(False)
    inputs = fakes.batch(32)
    plain = fakes.decode(fakes.run(name, "v_prediction", None, inputs))
    enlarged = torch.nn.functional.interpolate(plain, size=(8, 8), mode="bilinear", antialias=True)
    gaussians = fit_gaussians(model.features(enlarged).numpy(), inputs["labels"].numpy(), fakes.CLASSES)
    judge = criterion_value(model, criterion(climbed, gaussians))
    # The random network's logits are nearly flat: the score rule, unlike the other, needs a gradient of some size.
    listens = fakes.feedback(scale, rule, lambda x, y: 100 * judge(x, y), every=1)
    made = fakes.decode(fakes.run(name, "v_prediction", listens, inputs))
    gain = judge(made, inputs["labels"]) - judge(plain, inputs["labels"])
    assert gain.mean() > 2 * gain.std() / len(gain) ** 0.5


def test_a_mixed_view_is_the_released_codes_and_its_gradient_reaches_the_latents_directly_too() -> None:
    inputs, mixed = fakes.batch(3), fakes.feedback(0.1, mix=True)
    t, noise, z = 601, Noise(0.6, 0.8), inputs["z"]

    def predict(x: Tensor) -> Tensor:
        return fakes.denoise(x, t, inputs["condition"])

    _, moved, _ = guide(mixed, "epsilon", predict, z, noise, inputs["labels"])
    leaf = z.clone().requires_grad_()
    seen = 0.8 * (leaf - 0.8 * predict(leaf)) / 0.6 + 0.2 * leaf
    value = fakes.value(fakes.decode(seen), inputs["labels"])
    (g,) = torch.autograd.grad(value.sum(), leaf)
    length = 0.1 * z.flatten(1).norm(dim=1) / g.flatten(1).norm(dim=1)
    assert torch.allclose(moved, z + length[:, None, None, None] * g, rtol=0, atol=1e-12)
    assert torch.allclose(mixed.trace.before, value)


def test_a_schedule_guides_every_nth_step_of_its_window() -> None:
    assert [i for i in range(10) if scheduled(1.0, 3, 1, 8, "latent").guides(i)] == [1, 4, 7]
    assert [i for i in range(10) if scheduled(1.0, 5, 0, None, "score").guides(i)] == [0, 5]
    assert not any(scheduled(0.0, 1, 0, None, "latent").guides(i) for i in range(10))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"every": 0}, "every >= 1"),
        ({"first": -1}, "0 <= first <= last"),
        ({"first": 6, "last": 5}, "0 <= first <= last"),
        ({"candidates": 0}, "feedbacks.entropy.candidates must be at least 1"),
    ],
)
def test_an_impossible_schedule_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        feedback_settings(**change)


def test_an_unknown_rule_lists_the_known_ones_and_no_criterion_is_no_feedback(frozen: DiffusionModel) -> None:
    classifier, images, labels = build("small_cnn", 3, 8, seed=0), np.zeros((3, 8, 8, 3), np.uint8), np.arange(3)
    none = feedback_settings(criterion="none")
    assert feedback_on(frozen, none, [classifier], images, labels, []) is None
    for criterion_name in ("none", "loss"):
        polite = replace(none, criterion=criterion_name, rule="polite")
        with pytest.raises(InputError, match="unknown feedback rule 'polite'; choose one of: latent, score, x0"):
            feedback_on(frozen, polite, [classifier], images, labels, [])


@pytest.mark.parametrize(
    ("rule", "stop_gradient"), [("latent", True), ("score", False), ("score", True), ("x0", False)]
)
def test_pure_noise_is_not_guided(rule: str, stop_gradient: bool) -> None:
    """At zero terminal SNR a is 0, and what is divided by it has no value."""
    listens = fakes.feedback(0.03, rule, stop_gradient=stop_gradient)
    denoiser = ClassifierFreeGuidance(lambda z, t, condition: z.tanh(), "v_prediction", {}, {}, 1.0)
    z, labels = (fakes.batch(2)[name] for name in ("z", "labels"))
    predict = listens.wrap(denoiser, labels)
    output, moved = predict(z, Step(0, 999, Noise(0.0, 1.0)))
    assert torch.equal(output, z.tanh()) and torch.equal(moved, z)
    assert (listens.trace.updates, listens.trace.skipped) == (0, 1)
