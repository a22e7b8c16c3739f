"""Losses, weights and the objective against slow loops over the published formulas; what the prior and margins do."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from src.runtime.errors import InputError
from src.training.losses import LOSSES, head_for, ldam, ldam_margins, log_prior, make_objective
from src.training.weighting import WEIGHTINGS, class_balanced, inverse

from .fakes import METHOD

COUNTS = [70, 20, 10]
GROUPS = [60, 10, 15, 5, 10, 0]  # of three classes in two contexts
TRAIN = replace(METHOD, focal_gamma=2.0, adjustment_tau=1.5, ldam_margin=0.5, balance_beta=0.9999, drw_from=0.8)
MEAN_LOSSES = [name for name in LOSSES if name != "group_dro"]


def batch(
    size: int, seed: int = 0, scale: float = 3.0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, one-hot and soft targets of three classes in float64, and groups."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(size, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (size,), generator=generator)
    soft = torch.rand(size, 3, generator=generator, dtype=torch.float64)
    groups = 2 * labels + torch.randint(2, (size,), generator=generator)
    return logits, F.one_hot(labels, 3).double(), soft / soft.sum(1, keepdim=True), groups


def objective(**changes: Any) -> Any:
    return make_objective(replace(TRAIN, **changes), COUNTS, GROUPS)


def class_loss(name: str, z: list[float], k: int) -> float:
    """The published loss of one image with logits z whose class is k."""
    if name == "balanced_softmax":
        exps = [COUNTS[j] * math.exp(z[j]) for j in range(3)]
        return -math.log(exps[k] / sum(exps))
    if name == "logit_adjustment":
        z = [z[j] + 1.5 * math.log(COUNTS[j] / sum(COUNTS)) for j in range(3)]
    if name == "ldam":
        largest = max(n**-0.25 for n in COUNTS)
        z = [z[j] - (30 * 0.5 * COUNTS[k] ** -0.25 / largest if j == k else 0) for j in range(3)]
    p = math.exp(z[k]) / sum(math.exp(value) for value in z)
    return -((1 - p) ** 2 if name == "focal" else 1) * math.log(p)


@pytest.mark.parametrize("name", MEAN_LOSSES)
@pytest.mark.parametrize("kind", [1, 2], ids=["hard", "soft"])
def test_the_loss_is_the_published_formula(name: str, kind: int) -> None:
    made = batch(9)
    logits, targets = made[0], made[kind]
    expected = np.mean(
        [
            sum(t[k] * class_loss(name, z, k) for k in range(3))
            for z, t in zip(logits.tolist(), targets.tolist(), strict=True)
        ]
    )
    assert objective(loss=name)(logits, targets).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["cross_entropy", "balanced_softmax"])
def test_unweighted_losses_and_gradients_are_those_of_torch_bit_for_bit(name: str) -> None:
    """The default pipeline's classifiers depend on this arithmetic."""
    for seed in range(30):
        logits = batch(64, seed)[0].float().requires_grad_()
        targets = batch(64, seed)[1 + seed % 2].float()
        prior = log_prior(COUNTS) if name == "balanced_softmax" else 0
        ours = objective(loss=name)(logits, targets)
        reference = F.cross_entropy(logits + prior, targets)
        gradients = [torch.autograd.grad(loss, logits)[0] for loss in (ours, reference)]
        assert torch.equal(ours, reference) and torch.equal(*gradients)


def test_focal_without_gamma_is_cross_entropy_and_else_neglects_what_is_already_right() -> None:
    logits, targets, _, _ = batch(9)
    plain = objective()(logits, targets)
    assert torch.isclose(objective(loss="focal", focal_gamma=0)(logits, targets), plain)
    right = torch.tensor([[8.0, 0, 0]], dtype=torch.float64, requires_grad=True)
    loss = objective(loss="focal")(right, torch.tensor([[1.0, 0, 0]]))
    assert 0 < loss < 1e-6 * objective()(right, torch.tensor([[1.0, 0, 0]]))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_has_a_finite_gradient_at_a_certain_prediction(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0, 0]], requires_grad=True)
    objective(loss="focal", focal_gamma=gamma)(logits, torch.tensor([[1.0, 0, 0]])).backward()
    assert torch.isfinite(logits.grad).all()


def test_equal_counts_make_balanced_softmax_cross_entropy() -> None:
    logits, targets, _, _ = batch(9)
    balanced = make_objective(replace(TRAIN, loss="balanced_softmax"), [4, 4, 4], None)
    assert torch.isclose(balanced(logits, targets), objective()(logits, targets))


def test_balanced_softmax_punishes_a_mistake_on_a_rare_class_more() -> None:
    loss = make_objective(replace(TRAIN, loss="balanced_softmax"), [99, 1], None)
    logits = torch.zeros(1, 2)
    assert loss(logits, torch.tensor([[0.0, 1.0]])) > loss(logits, torch.tensor([[1.0, 0.0]]))


def test_ldam_margins_are_largest_for_the_rarest_class() -> None:
    margins = ldam_margins([10000, 16, 0], 0.5)
    assert margins.tolist() == pytest.approx([0.05, 0.25, 0.5])


@given(st.lists(st.floats(-30, 30), min_size=4, max_size=4), st.integers(0, 3), st.floats(0, 15))
@settings(max_examples=200, deadline=None)
def test_ldam_is_cross_entropy_after_the_margin_also_where_float32_is_coarse(logits, k, margin) -> None:
    z = torch.tensor([logits], dtype=torch.float32, requires_grad=True)
    loss = ldam(z, torch.full((4,), margin))[0, k]
    exact = z.detach().double()
    exact[0, k] -= torch.tensor(margin, dtype=torch.float32).double()
    expected = F.cross_entropy(exact, torch.tensor([k]))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-7)
    gradient = torch.autograd.grad(loss, z)[0].double()
    assert torch.allclose(gradient, exact.softmax(1) - F.one_hot(torch.tensor([k]), 4), atol=1e-5)


def test_ldam_asks_for_the_cosine_head_and_nothing_else_does() -> None:
    assert {name for name in LOSSES if head_for(name) == "cosine"} == {"ldam"}


def test_weights_are_the_published_formulas() -> None:
    effective = [(1 - 0.9999) / (1 - 0.9999**n) for n in COUNTS]
    assert class_balanced(COUNTS, 0.9999).tolist() == pytest.approx([w / sum(effective) * 3 for w in effective])
    assert inverse(COUNTS).tolist() == pytest.approx([3 / n / (1 / 70 + 1 / 20 + 1 / 10) for n in COUNTS])


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=8), st.floats(0, 0.99999))
@settings(max_examples=60, deadline=None)
def test_weights_sum_to_their_number_and_never_favour_the_more_frequent(counts, beta) -> None:
    for weights in (class_balanced(counts, beta), inverse(counts)):
        assert weights.sum().item() == pytest.approx(len(counts), rel=1e-5) and (weights > 0).all()
        assert (weights[np.argsort(counts)].diff() <= 1e-6).all()


@pytest.mark.parametrize("name", [name for name in WEIGHTINGS if name != "none"])
@pytest.mark.parametrize("loss", MEAN_LOSSES)
def test_a_weighted_loss_is_divided_by_the_weights_in_the_batch(name: str, loss: str) -> None:
    logits, targets, soft, groups = batch(11)
    for t in (targets, soft):
        losses = [[class_loss(loss, z, k) for k in range(3)] for z in logits.tolist()]
        if name == "inverse_group":
            weights = [[1 / max(GROUPS[g], 1)] * 3 for g in groups.tolist()]
        elif name == "inverse_class":
            weights = [[1 / n for n in COUNTS]] * 11
        else:
            weights = [[(1 - 0.9999) / (1 - 0.9999**n) for n in COUNTS]] * 11
        above = sum(weights[i][k] * t[i, k] * losses[i][k] for i in range(11) for k in range(3))
        below = sum(weights[i][k] * t[i, k] for i in range(11) for k in range(3))
        ours = objective(loss=loss, weighting=name)(logits, t, groups=groups, progress=0.9)
        assert ours.item() == pytest.approx((above / below).item(), rel=1e-5)


def test_class_weights_on_hard_targets_are_those_of_torch_which_the_published_code_uses() -> None:
    logits, targets, _, _ = batch(16)
    expected = F.cross_entropy(logits, targets.argmax(1), weight=class_balanced(COUNTS, 0.9999).double())
    assert torch.isclose(objective(weighting="class_balanced")(logits, targets), expected)


def test_deferred_weights_begin_at_their_share_of_training() -> None:
    logits, targets, _, _ = batch(9)
    deferred = objective(weighting="drw")
    assert torch.equal(deferred(logits, targets, progress=0.79), objective()(logits, targets))
    balanced = objective(weighting="class_balanced")(logits, targets)
    assert torch.equal(deferred(logits, targets, progress=0.8), balanced)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_the_mean_over_two_parts_is_the_loss_of_the_whole_batch(name: str) -> None:
    logits, targets, _, groups = batch(12)
    logits.requires_grad_()
    one = objective(weighting=name)
    whole = one(logits, targets, groups=groups, progress=0.9)
    parts = [slice(0, 6), slice(6, 12)]
    local: list[torch.Tensor] = []
    for part in parts:
        one(logits[part], targets[part], groups=groups[part], progress=0.9, total=lambda x: local.append(x) or x)
    both = [
        one(logits[part], targets[part], groups=groups[part], progress=0.9, total=lambda _: torch.stack(local).sum(0))
        for part in parts
    ]
    assert torch.isclose(torch.stack(both).mean(), whole)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (whole, torch.stack(both).mean())]
    assert torch.allclose(*gradients)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"loss": "hinge"}, "unknown loss 'hinge'; choose one of: cross_entropy, focal"),
        ({"weighting": "sqrt"}, "unknown weighting 'sqrt'"),
        ({"loss": "group_dro", "weighting": "drw"}, "set train.weighting to none"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        objective(**changes)


@pytest.mark.parametrize(("parameter", "name"), [("loss", "group_dro"), ("weighting", "inverse_group")])
def test_methods_by_group_are_refused_where_there_are_no_contexts(parameter: str, name: str) -> None:
    with pytest.raises(InputError, match=f"train.{parameter} {name} works by group, and this data set has no contexts"):
        make_objective(replace(TRAIN, **{parameter: name}), COUNTS, None)


def test_a_prior_needs_an_image_of_every_class() -> None:
    with pytest.raises(InputError, match="class 1 has no training image"):
        log_prior([3, 0])
