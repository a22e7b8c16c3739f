"""Criteria against plain numpy, sums of them, and names that are not known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from src.feedback.class_gaussians import ClassGaussians
from src.feedback.criteria import NAMES, criterion
from src.runtime.errors import InputError


def draw(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(6, 4, generator=g, dtype=torch.float64)
    return logits, torch.randn(6, 3, generator=g, dtype=torch.float64), torch.arange(6) % 4


def by_hand(name: str, logits: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    z, y = logits.numpy(), labels.numpy()
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    if name == "loss":
        return np.array([-np.log(p[i, y[i]]) for i in range(len(y))])
    if name == "entropy":
        return np.array([-sum(q * np.log(q) for q in row) for row in p])
    return np.array([max(z[i, k] for k in range(4) if k != y[i]) - z[i, y[i]] for i in range(len(y))])


@given(st.sampled_from(["loss", "entropy", "margin"]), st.integers(0, 99))
def test_a_criterion_is_its_formula(name: str, seed: int) -> None:
    logits, features, labels = draw(seed)
    assert np.allclose(criterion(name)(logits, features, labels), by_hand(name, logits, labels), atol=1e-12)


def test_a_certain_classifier_gives_finite_criteria_and_gradients() -> None:
    logits = torch.tensor([[200.0, -200.0, 0.0]], requires_grad=True)
    for name in ("loss", "entropy", "margin"):
        value = criterion(name)(logits, torch.zeros(1, 2), torch.tensor([0]))
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        assert torch.isfinite(value).all() and torch.isfinite(gradient).all()


def test_a_weighted_sum_is_a_criterion() -> None:
    logits, features, labels = draw()
    given_sum = criterion("0.7*entropy + 0.3*loss+margin")(logits, features, labels)
    parts = [by_hand(name, logits, labels) for name in ("entropy", "loss", "margin")]
    assert np.allclose(given_sum, 0.7 * parts[0] + 0.3 * parts[1] + parts[2], atol=1e-12)


def test_hardness_joins_a_sum() -> None:
    logits, features, labels = draw()
    eye = torch.eye(3, dtype=torch.float64).expand(4, 3, 3)
    gaussians = ClassGaussians(torch.zeros(4, 3, dtype=torch.float64), eye, torch.zeros(4, dtype=torch.float64))
    both = criterion("hardness+2*loss", gaussians)(logits, features, labels)
    expected = gaussians.hardness(logits, features, labels) + 2 * torch.from_numpy(by_hand("loss", logits, labels))
    assert torch.allclose(both, expected)


def test_no_feedback_is_no_criterion() -> None:
    assert criterion("none") is None


@pytest.mark.parametrize("name", ["confidence", "", "loss+confidence", "2*", "loss-entropy"])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match=f"is unknown; choose one of {', '.join(NAMES)}"):
        criterion(name)


@pytest.mark.parametrize("name", ["half*loss", "nan*loss", "inf*entropy", "*loss*loss"])
def test_a_weight_must_be_a_finite_number(name: str) -> None:
    with pytest.raises(InputError, match="must read <number>"):
        criterion(name)


def test_hardness_needs_gaussians() -> None:
    with pytest.raises(InputError, match="needs the class Gaussians of real features"):
        criterion("hardness")


def test_disagreement_is_the_entropy_that_a_committee_has_and_its_members_have_not() -> None:
    logits = torch.randn(4, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    measure, features, labels = (
        criterion("disagreement", members=4),
        torch.zeros(5, 2),
        torch.zeros(5, dtype=torch.int64),
    )
    p = logits.softmax(2).numpy()
    by_hand = stats.entropy(p.mean(0), axis=1) - stats.entropy(p, axis=2).mean(0)
    assert measure is not None and np.allclose(measure(logits, features, labels), by_hand, atol=1e-12)
    alike = logits[:1].repeat(4, 1, 1)
    assert torch.allclose(measure(alike, features, labels), torch.zeros(5, dtype=torch.float64), atol=1e-12)
    certain = torch.tensor([[[50.0, 0]], [[0, 50.0]]])  # each sure of another class: all that two can disagree
    assert measure(certain, features, labels).item() == pytest.approx(math.log(2))


def test_of_a_committee_other_criteria_ask_the_first_and_one_classifier_cannot_disagree() -> None:
    logits = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    features, labels = torch.zeros(5, 2), torch.arange(5) % 4
    both = criterion("disagreement + 2*entropy", members=3)
    expected = criterion("disagreement", members=3)(logits, features, labels)
    expected = expected + 2 * criterion("entropy")(logits[0], features, labels)
    assert torch.allclose(both(logits, features, labels), expected)
    with pytest.raises(InputError, match=r"needs several base classifiers; set committee to 4"):
        criterion("disagreement")
