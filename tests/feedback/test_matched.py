"""Feedback to a target: steps of Newton size, up or down, none at it; real images' distributions; one scale a class."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from src.feedback.guidance import Feedback
from src.feedback.matched_scale import matched_scales, shrunk_gaps
from src.feedback.real_targets import PRIOR, RealTargets
from src.feedback.update_rules import newton_scale
from src.generators.prediction import Noise
from src.generators.sampler import ClassifierFreeGuidance, Step, sample
from src.runtime.errors import InputError
from tests.feedback import fakes
from tests.feedback.settings import feedback_settings

MATCHED = feedback_settings(criterion="loss", scale=0.3, target="real")


def judged(z: Tensor, labels: Tensor) -> Tensor:
    return fakes.value(fakes.decode(z), labels)


def sampled(feedback: Feedback | None, count: int = 6, aims: Tensor | None = None, first: int = 0) -> Tensor:
    """The criterion of the batch's finished images, of which those from `first` on are sampled together."""
    inputs, schedule = fakes.batch(count), fakes.noise_schedule("ddim", "epsilon")
    cut = {k: v[first:] for k, v in inputs.items() if isinstance(v, Tensor)}
    condition, absent = ({k: v[first:] for k, v in inputs[name].items()} for name in ("condition", "absent"))
    denoiser = ClassifierFreeGuidance(fakes.denoise, "epsilon", condition, absent, 3.0)
    predict = denoiser
    if feedback is not None:
        predict, _ = feedback.wrap(
            denoiser, cut["labels"], seeds=range(first, count), aims=None if aims is None else aims[first:]
        )
    return judged(sample(predict, schedule, cut["z"]), cut["labels"])


def test_a_step_closes_the_gap_of_a_linear_criterion_up_or_down_as_far_as_it_may() -> None:
    g = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gap, length = torch.tensor([0.5, -0.2, 0.0, 40.0]).double(), torch.full((4,), 10.0).double()
    w = newton_scale(gap, g, length, 0.3)
    step = (w * length / g.flatten(1).norm(dim=1))[:, None, None, None] * g
    assert torch.allclose((g * step).flatten(1).sum(1)[:3], gap[:3]) and w[2] == 0 and w[3] == 0.3
    lost = newton_scale(torch.tensor([1.0, torch.nan, -1.0]), torch.zeros(3, 1), torch.ones(3), 0.3)
    assert lost.tolist() == pytest.approx([0.3, 0.0, -0.3])


@pytest.mark.parametrize("rule", ["latent", "x0"])
def test_images_move_towards_their_own_targets_from_either_side(rule: str) -> None:
    plain = sampled(None)
    aims = plain + torch.tensor([0.3, -0.3, 0.3, -0.3, 0.3, 0.3])
    feedback = Feedback(fakes.value, replace(MATCHED, rule=rule), fakes.decode)
    assert ((sampled(feedback, aims=aims) - aims).abs() < 0.2 * (plain - aims).abs()).all()


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
@pytest.mark.parametrize("rule", ["latent", "x0"])
def test_at_its_target_an_image_is_left_alone(rule: str, guidance_scale: float) -> None:
    """The image that comes out, which under classifier-free guidance is not the conditional half's."""
    inputs, noise = fakes.batch(3), Noise(0.6, 0.8)
    denoiser = ClassifierFreeGuidance(fakes.denoise, "sample", inputs["condition"], inputs["absent"], guidance_scale)
    output, z = denoiser(inputs["z"], Step(0, 400, noise))
    aims = judged(output, inputs["labels"])
    feedback = Feedback(fakes.value, replace(MATCHED, rule=rule), fakes.decode)
    predict, trace = feedback.wrap(denoiser, inputs["labels"], seeds=range(3), aims=aims)
    assert all(torch.equal(a, b) for a, b in zip(predict(z, Step(0, 400, noise)), (output, z), strict=True))
    assert torch.equal(trace.before, aims)


def test_no_target_and_the_same_scale_for_each_class_are_feedback_as_it_was() -> None:
    for rule in ("latent", "score", "x0"):
        settings = feedback_settings(rule=rule, scale=0.05)
        plain = Feedback(fakes.value, settings, fakes.decode)
        by_class = replace(plain, scales=torch.full((fakes.CLASSES,), 0.05, dtype=torch.float64))
        assert torch.equal(sampled(plain), sampled(by_class)) and not torch.equal(sampled(plain), sampled(None))
    nowhere = replace(plain, scales=torch.zeros(fakes.CLASSES, dtype=torch.float64))
    assert torch.allclose(sampled(nowhere), sampled(None), rtol=0, atol=1e-12)


def test_an_image_does_not_depend_on_the_batch_that_it_is_in() -> None:
    aims = sampled(None) + 0.2
    feedback = Feedback(fakes.value, MATCHED, fakes.decode)
    whole, part = sampled(feedback, aims=aims), sampled(feedback, aims=aims, first=4)
    assert torch.allclose(whole[4:], part, rtol=0, atol=1e-12)


def test_targets_are_drawn_as_real_images_are_and_a_class_of_few_leans_on_all() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 400), rng.normal(5, 1, 400), [9.0]])
    targets = RealTargets(values, np.repeat([0, 1, 2], [400, 400, 1]), classes=4)
    ranks = (np.arange(2000) + 0.5) / 2000
    drawn = {k: targets.at([k] * 2000, ranks) for k in range(4)}
    assert all(set(some) <= set(values) for some in drawn.values())
    assert drawn[0].mean() == pytest.approx(values[:400].mean(), abs=0.2) and drawn[0].std() < 2
    pooled = np.mean([values[:400].mean(), values[400:800].mean(), 9.0])
    assert drawn[3].mean() == pytest.approx(pooled, abs=0.1)  # no image of its own
    own = 1 / (1 + PRIOR)
    assert drawn[2].mean() == pytest.approx(own * 9 + (1 - own) * pooled, abs=0.1)  # one, and not that alone
    assert targets.means()[:3] == pytest.approx([values[:400].mean(), values[400:800].mean(), 9])
    assert np.isnan(targets.means()[3])
    assert targets.at([1, 0], [0.3, 0.7]).tolist() == [targets.at([1], [0.3])[0], targets.at([0], [0.7])[0]]


def test_values_without_meaning_count_for_nothing_and_none_at_all_are_refused() -> None:
    targets = RealTargets(np.array([1.0, np.nan, 3.0]), np.array([0, 0, 1]), 2)
    assert targets.counts.tolist() == [1, 1]
    with pytest.raises(InputError, match="empty the feedback's target"):
        RealTargets(np.array([np.nan]), np.array([0]), 2)


def test_scales_meet_the_real_means_of_a_generator_that_is_too_easy_or_too_hard_and_are_0_where_it_is_real() -> None:
    base, slope, asked = np.array([0.2, 0.9, 0.5, 0.1]), np.array([10.0, 5.0, 8.0, 1.0]), []
    real = np.array([0.7, 0.6, 0.5, 0.9])

    def gaps_at(scale: float) -> np.ndarray:
        asked.append(scale)
        return real - base - slope * scale

    scales = matched_scales(gaps_at, most=0.1)
    assert scales == pytest.approx([0.05, -0.06, 0.0, 0.1], abs=1e-6)
    assert len(asked) == 6 and max(map(abs, asked)) == 0.1
    assert not matched_scales(lambda scale: -slope * scale, 0.1).any()


def test_a_curve_that_turns_is_met_at_the_scale_nearest_to_none() -> None:
    scales = matched_scales(lambda s: np.array([(10 * s - 0.5) ** 2 - 0.1]), most=0.1)
    assert 0 < scales[0] < 0.03


def test_a_class_of_few_images_has_the_gap_of_the_others() -> None:
    """A perfect generator asks for no feedback, in easy classes neither, however few images its pilot has."""
    real = RealTargets(np.array([0.0] * 50 + [1.0] * 50 + [9.0]), np.repeat([0, 1, 3], [50, 50, 1]), 4)
    made = RealTargets(np.array([0.0, 1.0, 9.0]), np.array([0, 1, 3]), 4)
    assert not shrunk_gaps(real, made).any()
    harder = RealTargets(np.array([0.5, 1.5, 12.0]), np.array([0, 1, 3]), 4)
    middle, own = -(0.5 + 0.5 + 3) / 3, 0.5 / (0.5 + PRIOR)  # one real image and one made tell as much as half of one
    gaps = shrunk_gaps(real, harder)
    assert gaps[3] == pytest.approx(own * -3 + (1 - own) * middle) and gaps[2] == pytest.approx(middle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "ideal"}, "matched to target real or, left empty, to none, not to 'ideal'"),
        ({"pilot": 4}, "set target to real, or no pilot"),
        ({"target": "real", "criterion": "none"}, "needs a classifier's criterion, not none"),
        ({"target": "real", "scale": -0.1}, "finds the sign of its steps; set its scale to 0 or more"),
        ({"target": "real", "rule": "score"}, "by rule latent or x0; set one of them, or a pilot"),
        ({"target": "real", "pilot": 4, "scale": 0}, "set that above 0, or no pilot"),
    ],
)
def test_a_target_that_cannot_be_met_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        feedback_settings(**change)


def test_under_a_pilot_the_classifier_is_asked_no_more_often_than_without_a_target() -> None:
    """Its scale meets the target, so that images on the way need not be looked at, nor their looks be paid for."""
    asked = []

    def value(images: Tensor, labels: Tensor) -> Tensor:
        asked.append(len(images))
        return fakes.value(images, labels)

    counts = []
    for settings, aims in ((MATCHED, torch.zeros(6)), (replace(MATCHED, pilot=4), torch.zeros(6)), (MATCHED, None)):
        asked.clear()
        sampled(Feedback(value, settings, fakes.decode), aims=aims)
        counts.append(len(asked))
    assert counts[1] == counts[2] < counts[0]
