"""Group accuracies: a hand-made Waterbirds, a slow reference, and groups that one split or the other lacks."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.evaluation.accuracy import worst_group_accuracy
from src.evaluation.groups import group_report, mean_by

BIRDS, PLACES = ["landbird", "waterbird"], ["land", "water"]


def told(*groups: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, labels and contexts of groups given as (label, context, right, wrong)."""
    rows = [(y if i < right else 1 - y, y, a) for y, a, right, wrong in groups for i in range(right + wrong)]
    predicted, labels, contexts = np.array(rows).T
    return predicted, labels, contexts


def test_the_mean_of_waterbirds_is_weighted_by_the_training_groups():
    accuracies = {(0, 0): 0.99, (0, 1): 0.8, (1, 0): 0.7, (1, 1): 0.95}
    counts = [3498, 184, 56, 1057]
    test = told(*((y, a, round(100 * share), 100 - round(100 * share)) for (y, a), share in accuracies.items()))
    report = group_report(*test, BIRDS, PLACES, counts)
    assert report["worst"] == 0.7
    assert report["worst_group"] == {"class": "waterbird", "context": "land"}
    assert report["mean"] == pytest.approx(0.86)
    by_hand = (3498 * 0.99 + 184 * 0.8 + 56 * 0.7 + 1057 * 0.95) / 4795
    assert report["weighted_mean"] == pytest.approx(by_hand) != pytest.approx(0.86)
    assert report["per_group"][2] == {
        "class": "waterbird", "context": "land", "accuracy": 0.7, "train_images": 56, "test_images": 100,
    }  # fmt: skip


def test_a_group_without_test_images_is_null_and_weighs_nothing():
    report = group_report(*told((0, 0, 3, 1), (1, 1, 1, 1)), BIRDS, PLACES, [30, 500, 500, 10])
    assert [row["accuracy"] for row in report["per_group"]] == [0.75, None, None, 0.5]
    assert [row["test_images"] for row in report["per_group"]] == [4, 0, 0, 2]
    assert report["worst"] == 0.5 and report["mean"] == 0.625
    assert report["weighted_mean"] == pytest.approx((30 * 0.75 + 10 * 0.5) / 40)
    json.dumps(report, allow_nan=False)


def test_a_group_without_training_images_counts_for_worst_and_mean_but_not_for_the_weighted_mean():
    report = group_report(*told((0, 0, 4, 0), (1, 0, 1, 3)), BIRDS, PLACES, [30, 0, 0, 0])
    assert report["worst"] == 0.25 and report["mean"] == 0.625 and report["weighted_mean"] == 1.0


def test_without_a_tested_group_that_was_trained_on_there_is_no_weighted_mean():
    assert group_report(*told((0, 0, 4, 0)), BIRDS, PLACES, [0, 9, 9, 9])["weighted_mean"] is None


def test_counts_of_other_groups_are_refused():
    with pytest.raises(ValueError, match="3 group counts do not fit 2 classes in 2 contexts"):
        group_report(*told((0, 0, 1, 1)), BIRDS, PLACES, [1, 2, 3])


SAMPLES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=40)


@given(SAMPLES)
def test_groups_agree_with_a_loop_over_pairs(samples):
    predicted, labels, contexts = np.array(samples).T
    counts = [5, 0, 1, 2, 7, 3]
    report = group_report(predicted, labels, contexts, list("abc"), ["x", "y"], counts)
    seen = {}
    for k, y, a in samples:
        seen.setdefault((y, a), []).append(k == y)
    shares = {group: sum(right) / len(right) for group, right in seen.items()}
    assert report["worst"] == min(shares.values())
    assert report["mean"] == pytest.approx(sum(shares.values()) / len(shares))
    for g, row in enumerate(report["per_group"]):
        assert row["accuracy"] == shares.get(divmod(g, 2))
    assert worst_group_accuracy(np.eye(3)[predicted], labels, 2 * labels + contexts) == report["worst"]


@given(SAMPLES)
def test_the_worst_group_is_never_better_than_the_overall_accuracy(samples):
    predicted, labels, contexts = np.array(samples).T
    assert worst_group_accuracy(np.eye(3)[predicted], labels, 2 * labels + contexts) <= np.mean(predicted == labels)


def test_means_of_ids_that_do_not_occur_are_nan():
    assert np.array_equal(mean_by(np.array([1.0, 2.0, 5.0]), np.array([0, 0, 2]), 4), [1.5, np.nan, 5, np.nan], True)
