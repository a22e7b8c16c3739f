"""Losses: what the prior does, and that hard and soft targets agree."""

import pytest
import torch
import torch.nn.functional as F

from src.errors import InputError
from src.training.losses import LOSSES, balanced_softmax, cross_entropy, log_prior

LOGITS = torch.tensor([[1.0, -0.5, 0.2], [0.3, 2.0, -1.0]], requires_grad=True)
LABELS = torch.tensor([0, 2])


@pytest.mark.parametrize("name", LOSSES)
def test_hard_targets_are_one_hot_soft_targets(name: str) -> None:
    prior = log_prior([70, 20, 10])
    hard = LOSSES[name](LOGITS, LABELS, prior)
    assert torch.allclose(hard, LOSSES[name](LOGITS, F.one_hot(LABELS, 3).float(), prior))


def test_balanced_softmax_is_the_published_formula() -> None:
    counts = torch.tensor([70.0, 20.0, 10.0])
    weighted = counts * LOGITS.exp()
    expected = -(weighted[[0, 1], LABELS] / weighted.sum(1)).log().mean()
    assert torch.allclose(balanced_softmax(LOGITS, LABELS, log_prior([70, 20, 10])), expected)


def test_equal_counts_make_balanced_softmax_cross_entropy() -> None:
    balanced = balanced_softmax(LOGITS, LABELS, log_prior([4, 4, 4]))
    assert torch.allclose(balanced, cross_entropy(LOGITS, LABELS))


def test_balanced_softmax_punishes_a_mistake_on_a_rare_class_more() -> None:
    logits, prior = torch.zeros(1, 2), log_prior([99, 1])
    rare = balanced_softmax(logits, torch.tensor([1]), prior)
    assert rare > balanced_softmax(logits, torch.tensor([0]), prior)


def test_balanced_softmax_without_usable_counts_is_refused() -> None:
    with pytest.raises(InputError, match="needs the class counts"):
        balanced_softmax(LOGITS, LABELS, None)
    with pytest.raises(InputError, match="class 1 has no training image"):
        log_prior([3, 0])
