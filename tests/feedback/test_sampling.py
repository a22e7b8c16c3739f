"""The guided sampler against a slow, obvious one, to the last digit; what must not matter does not."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.feedback.update_rules import RULES
from src.generators.prediction import PREDICTION_TYPES
from src.generators.sampler import SCHEDULERS
from src.settings.sections import FeedbackSettings
from tests.feedback import fakes
from tests.feedback.fakes import Listener, scheduled
from tests.feedback.reference import slow_sample


@pytest.mark.parametrize("mix", [False, True])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", PREDICTION_TYPES)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_sampler_equals_the_slow_reference(name: str, kind: str, rule: str, mix: bool) -> None:
    inputs = fakes.batch(3)
    fast = fakes.run(name, kind, fakes.feedback(0.1, rule, micro_batch=2, mix=mix), inputs)
    slow = slow_sample(
        fakes.denoise, fakes.decode, fakes.value, lambda: fakes.noise_schedule(name, kind), inputs, rule, 0.1, 3, mix
    )
    assert (fast - slow).abs().max() <= 1e-12 * slow.abs().max()
    assert (fast - fakes.run(name, kind, None, inputs)).abs().max() > 1e-3  # guidance did something


SCHEDULES = st.builds(
    lambda scale, every, first, length, rule, mix, stop: scheduled(
        scale, every, first, None if length is None else first + length, rule, mix, stop
    ),
    st.just(0.0) | st.just(0.1),
    st.integers(1, 9),
    st.integers(0, 9),
    st.none() | st.integers(0, 9),
    st.sampled_from(RULES),
    st.booleans(),
    st.booleans(),
)


def under(schedule: FeedbackSettings) -> Listener:
    return Listener(fakes.value, schedule, fakes.decode)


@given(SCHEDULES.filter(lambda schedule: schedule.scale == 0), st.sampled_from(list(SCHEDULERS)))
@settings(max_examples=30, deadline=None)
def test_scale_zero_equals_the_unguided_sampler_bit_for_bit_whatever_the_schedule(
    schedule: FeedbackSettings, name: str
) -> None:
    inputs, silent = fakes.batch(4, torch.float32), under(schedule)
    assert torch.equal(fakes.run(name, "v_prediction", silent, inputs), fakes.run(name, "v_prediction", None, inputs))
    assert silent.trace.before is None and silent.trace.updates == 0


@given(SCHEDULES)
@settings(max_examples=30, deadline=None)
def test_guidance_keeps_to_every_nth_step_from_first_to_last(schedule: FeedbackSettings) -> None:
    end = 8 if schedule.last is None else min(schedule.last + 1, 8)
    expected = len(range(schedule.first, end, schedule.every)) if schedule.scale else 0
    seen = under(schedule)
    fakes.run("ddim", "epsilon", seen, fakes.batch(2))
    assert torch.as_tensor(seen.trace.updates).expand(2).tolist() == [expected] * 2


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_schedule_that_ends_before_it_begins_to_matter_is_the_unguided_sampler(name: str) -> None:
    inputs, late = fakes.batch(3), under(scheduled(0.1, 1, 8, None, "latent"))  # there are 8 steps, 0 to 7
    assert torch.equal(fakes.run(name, "epsilon", late, inputs), fakes.run(name, "epsilon", None, inputs))


def test_the_conditional_half_of_a_guided_step_is_computed_once_and_the_other_without_a_graph() -> None:
    inputs, asked = fakes.batch(3), []

    def watched(z: torch.Tensor, t: int, condition: dict[str, torch.Tensor]) -> torch.Tensor:
        asked.append((t, len(z), torch.is_grad_enabled(), condition["states"].any().item()))
        return fakes.denoise(z, t, condition)

    steps = fakes.noise_schedule("ddim", "epsilon", steps=2)
    fakes.sampled(watched, steps, under(scheduled(0.1, 2, 0, None, "latent")), inputs)
    first, second = steps.timesteps.tolist()
    assert asked == [(first, 3, True, True), (first, 3, False, False), (second, 6, False, True)]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_without_classifier_free_guidance_the_absent_condition_is_never_asked(name: str) -> None:
    inputs = fakes.batch(3)
    poisoned = inputs | {"absent": {n: torch.full_like(v, torch.nan) for n, v in inputs["absent"].items()}}
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
