"""Gradients that are zero, tiny, infinite or not a number, in every number format; scaling that changes no digit."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from src.feedback.update_rules import RULES, unit
from src.generators.prediction import Noise
from src.generators.sampler import SCHEDULERS
from tests.feedback import fakes
from tests.feedback.fakes import Listener, guide, scheduled

NOISE, T = Noise(0.6, 0.8), 400
FORMATS = [torch.float32, torch.bfloat16, torch.float16]
MATES = torch.tensor([0, 2, 3])


def judge_that_spoils(factor: float, label: int = 1):
    """The criterion, multiplied by `factor` for one label."""
    return lambda x, y: fakes.value(x, y) * torch.where(y == label, factor, 1.0).to(x)


def guided(listens: Listener, networks: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """The moved latents of 4 images, and what the score rule adds to zeros; networks in their own number format.

    Latents are float32, as in the real thing, or float64 with networks in float64.
    """
    inputs = fakes.batch(4, torch.promote_types(networks, torch.float32))

    def predict(z: Tensor) -> Tensor:
        return fakes.denoise(z.to(networks), T, inputs["condition"]).to(z)

    _, moved, added = guide(listens, "v_prediction", predict, inputs["z"], NOISE, inputs["labels"])
    return moved, added


def listening(networks: torch.dtype, rule: str = "latent", factor: float = 1.0, loss_scale: float = 1.0) -> Listener:
    """Feedback whose decoder and classifier, too, run in `networks`; `factor` multiplies the criterion of label 1."""
    schedule = scheduled(0.1, 1, 0, None, rule)
    return Listener(judge_that_spoils(factor), schedule, lambda z: fakes.decode(z.to(networks)), loss_scale=loss_scale)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("networks", [torch.float64, *FORMATS], ids=str)
@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf, -math.inf])
def test_a_useless_gradient_leaves_its_sample_unguided_and_counted_and_its_mates_alone(
    bad: float, networks: torch.dtype, rule: str
) -> None:
    sound, broken = listening(networks, rule), listening(networks, rule, bad)
    moved, added = guided(sound, networks)
    moved_too, added_too = guided(broken, networks)
    assert torch.equal(moved[MATES], moved_too[MATES]) and torch.equal(added[MATES], added_too[MATES])
    z = fakes.batch(4, moved.dtype)["z"]
    assert torch.equal(moved_too[1], z[1]) and not added_too[1].any()
    assert not torch.equal(moved[1], z[1]) or added[1].any()  # it would have been guided
    assert sound.trace.updates.tolist() == [1, 1, 1, 1] and sound.trace.skipped.tolist() == [0, 0, 0, 0]
    assert broken.trace.updates.tolist() == [1, 0, 1, 1] and broken.trace.skipped.tolist() == [0, 1, 0, 0]


def test_a_sample_without_gradient_is_sampled_as_if_unguided() -> None:
    broken = fakes.run("ddim", "epsilon", fakes.feedback(0.1, judge=judge_that_spoils(math.nan)), fakes.batch(4))
    assert (broken[1] - fakes.run("ddim", "epsilon", None, fakes.batch(4))[1]).abs().max() <= 1e-12
    assert (broken[2] - fakes.run("ddim", "epsilon", fakes.feedback(0.1), fakes.batch(4))[2]).abs().max() <= 1e-12


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf, -math.inf])
def test_one_bad_entry_spoils_its_own_sample_only(bad: float, dtype: torch.dtype) -> None:
    g = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    spoiled = g.clone()
    spoiled[1, 0, 3, 5] = bad
    if bad == 0:
        spoiled[1] = 0
    direction, usable = unit(spoiled)
    assert usable.tolist() == [True, False, True, True]
    assert not direction[1].any() and torch.equal(direction[MATES], unit(g)[0][MATES])


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_the_smallest_and_largest_gradients_that_a_format_holds_keep_their_direction(dtype: torch.dtype) -> None:
    info = torch.finfo(dtype)
    whole = torch.randint(-8, 9, (4, 2, 8, 8), generator=torch.Generator().manual_seed(0)).to(dtype)
    exact = whole.double() / whole.double().flatten(1).norm(dim=1)[:, None, None, None]
    for size in (info.smallest_normal, info.smallest_normal * info.eps, 2.0 ** (math.frexp(info.max)[1] - 4)):
        tiny = (whole.double() * size).to(dtype)
        assert torch.equal(tiny.double(), whole.double() * size)  # no entry was rounded
        direction, usable = unit(tiny)
        assert usable.all()
        assert torch.allclose(direction.double(), exact, rtol=2 * info.eps, atol=0)
        assert torch.equal(direction, unit(whole)[0])


def test_a_single_entry_of_the_smallest_number_is_a_direction() -> None:
    g = torch.zeros(1, 2, 8, 8)
    g[0, 1, 2, 3] = -torch.finfo(g.dtype).smallest_normal * torch.finfo(g.dtype).eps
    assert g.any() and torch.equal(unit(g)[0], g.sign())


@given(st.floats(1e-30, 1e30), st.sampled_from(list(SCHEDULERS)), st.booleans())
@settings(max_examples=20, deadline=None)
def test_the_latent_rule_does_not_ask_how_large_the_criterion_is(factor: float, name: str, mix: bool) -> None:
    moved = [
        fakes.run(name, "epsilon", fakes.feedback(0.1, judge=judge, mix=mix), fakes.batch(2))
        for judge in (fakes.value, lambda x, y: factor * fakes.value(x, y))
    ]
    assert (moved[0] - moved[1]).abs().max() <= 1e-12 * moved[0].abs().max()


@given(
    st.integers(-20, 20),
    st.sampled_from(RULES),
    st.sampled_from(list(SCHEDULERS)),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_a_loss_scale_changes_no_bit_of_float32_networks(
    power: int, rule: str, name: str, mix: bool, stop_gradient: bool
) -> None:
    inputs = fakes.batch(3, torch.float32)
    plain, scaled = (
        fakes.run(
            name,
            "v_prediction",
            fakes.feedback(0.1, rule, mix=mix, stop_gradient=stop_gradient, loss_scale=scale),
            inputs,
        )
        for scale in (1.0, 2.0**power)
    )
    assert torch.equal(plain, scaled)


FAINT = 2.0**-27  # of the criterion; float16 ends at 2^-24


def faint(networks: torch.dtype, rule: str, loss_scale: float) -> tuple[Listener, Tensor]:
    """Feedback on a criterion too faint for float16, and the update of the latents or of the output."""
    schedule = scheduled(0.1 if rule == "latent" else 0.1 / FAINT, 1, 0, None, rule)
    listens = Listener(
        lambda x, y: FAINT * fakes.value(x, y), schedule, lambda z: fakes.decode(z.to(networks)), loss_scale=loss_scale
    )
    moved, added = guided(listens, networks)
    return listens, moved - fakes.batch(4, torch.float32)["z"] if rule == "latent" else added


@pytest.mark.parametrize("rule", RULES)
def test_a_loss_scale_rescues_a_gradient_that_float16_would_lose(rule: str) -> None:
    lost, nothing = faint(torch.float16, rule, 1.0)
    assert lost.trace.skipped.tolist() == [1, 1, 1, 1] and not nothing.any()
    rescued, update = faint(torch.float16, rule, 2.0**14)
    _, exact = faint(torch.float32, rule, 1.0)
    assert rescued.trace.updates.tolist() == [1, 1, 1, 1]
    assert torch.allclose(update, exact, rtol=0, atol=0.03 * exact.abs().max().item())


def test_a_loss_scale_beyond_the_format_guides_nothing_and_says_so() -> None:
    overflowing = listening(torch.float16, loss_scale=2.0**17)
    moved, _ = guided(overflowing, torch.float16)
    assert torch.equal(moved, fakes.batch(4, torch.float32)["z"])
    assert overflowing.trace.skipped.tolist() == [1, 1, 1, 1]
