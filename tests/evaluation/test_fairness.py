"""Fairness differences: fairlearn on the same predictions, hand-made cases, and rates that no image tells."""

import json

import numpy as np
import pytest
from fairlearn.metrics import (
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from src.evaluation.fairness import DIFFERENCES, binary_differences, fairness_report

THEIRS = dict(
    zip(
        DIFFERENCES,
        (demographic_parity_difference, equal_opportunity_difference, equalized_odds_difference),
        strict=True,
    )
)


def fairlearn_says(predicted, labels, contexts):
    return {
        name: float(f(labels, predicted, sensitive_features=contexts, method="between_groups"))
        for name, f in THEIRS.items()
    }


def drawn(size: int, classes: int, contexts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng([size, classes, contexts])
    labels, context = generator.integers(classes, size=size), generator.integers(contexts, size=size)
    kept = generator.random(size) < 0.5 + 0.4 * context / contexts
    return np.where(kept, labels, generator.integers(classes, size=size)), labels, context


@pytest.mark.parametrize("contexts", [2, 3, 4])
def test_two_classes_are_judged_as_fairlearn_judges_the_second(contexts):
    predicted, labels, context = drawn(300, 2, contexts)
    report = fairness_report(predicted, labels, context, ["no", "yes"], list("pqrs")[:contexts])
    theirs = fairlearn_says(predicted, labels, context)
    assert report["positive"] == "yes" and list(report["per_class"]) == ["yes"]
    for name in DIFFERENCES:
        assert theirs[name] > 0.02
        assert report[name]["max"] == report[name]["mean"] == pytest.approx(theirs[name], abs=1e-12)


def test_more_classes_are_judged_by_fairlearn_each_against_the_rest():
    predicted, labels, context = drawn(600, 3, 4)
    report = fairness_report(predicted, labels, context, list("abc"), list("pqrs"))
    theirs = [fairlearn_says(predicted == k, labels == k, context) for k in range(3)]
    for name in DIFFERENCES:
        values = [row[name] for row in theirs]
        assert [report["per_class"][k][name] for k in "abc"] == pytest.approx(values, abs=1e-12)
        assert report[name] == {"max": pytest.approx(max(values)), "mean": pytest.approx(np.mean(values))}
    json.dumps(report, allow_nan=False)


@settings(max_examples=25, deadline=None)  # fairlearn takes 50 ms each
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 2)), min_size=4, max_size=24))
def test_any_predictions_agree_with_fairlearn_where_every_rate_is_known(samples):
    chosen, positive, contexts = np.array(samples).T
    contexts, chosen, positive = contexts.astype(int), chosen.astype(bool), positive.astype(bool)
    assume(len(set(contexts.tolist())) > 1)
    ours = binary_differences(chosen, positive, contexts, 3)
    theirs = fairlearn_says(chosen, positive, contexts)
    assert ours["demographic_parity_difference"] == pytest.approx(theirs["demographic_parity_difference"])
    told = {(positive[i], contexts[i]) for i in range(len(positive))}
    needed = {DIFFERENCES[1]: [True], DIFFERENCES[2]: [True, False]}
    for name, sides in needed.items():
        known = all((side, a) in told for side in sides for a in set(contexts.tolist()))
        assert ours[name] == (pytest.approx(theirs[name]) if known else None)


def test_a_perfect_classifier_has_no_odds_difference_but_the_parity_of_the_labels():
    labels, contexts = np.array([0, 0, 0, 1, 0, 1, 1, 1]), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    report = fairness_report(labels, labels, contexts, ["no", "yes"], ["p", "q"])
    assert report["demographic_parity_difference"]["max"] == 0.5
    assert report["equal_opportunity_difference"]["max"] == report["equalised_odds_difference"]["max"] == 0


def test_odds_are_the_larger_of_the_two_rates_differences():
    positive = np.array([1, 1, 0, 0, 1, 1, 0, 0], dtype=bool)
    chosen = np.array([1, 0, 0, 0, 1, 1, 1, 1], dtype=bool)
    ours = binary_differences(chosen, positive, np.repeat([0, 1], 4), 2)
    assert ours["equal_opportunity_difference"] == 0.5 and ours["equalised_odds_difference"] == 1


def test_a_context_without_positives_leaves_its_rate_unknown_where_fairlearn_takes_it_as_zero():
    chosen, positive = np.array([1, 1, 0, 1, 0], dtype=bool), np.array([1, 1, 0, 0, 0], dtype=bool)
    contexts = np.array([0, 0, 0, 1, 1])
    assert fairlearn_says(chosen, positive, contexts)["equal_opportunity_difference"] == 1
    ours = binary_differences(chosen, positive, contexts, 2)
    assert ours["equal_opportunity_difference"] is None and ours["equalised_odds_difference"] is None
    assert ours["demographic_parity_difference"] == pytest.approx(2 / 3 - 1 / 2)


def test_a_class_that_cannot_be_judged_counts_neither_for_the_maximum_nor_for_the_mean():
    labels = np.array([0, 1, 2, 0, 1, 0, 1, 1])
    contexts = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    predicted = np.array([0, 1, 2, 0, 1, 1, 1, 1])
    report = fairness_report(predicted, labels, contexts, list("abc"), ["p", "q"])
    assert report["per_class"]["c"]["equal_opportunity_difference"] is None
    assert report["equal_opportunity_difference"] == {"max": 1.0, "mean": 0.5}
    json.dumps(report, allow_nan=False)


def test_a_context_that_never_occurs_is_left_out_and_a_single_one_has_nothing_to_differ_from():
    chosen, positive = np.array([1, 0, 1, 1], dtype=bool), np.array([1, 0, 1, 0], dtype=bool)
    assert binary_differences(chosen, positive, np.array([0, 0, 2, 2]), 4)["equalised_odds_difference"] == 1
    assert set(binary_differences(chosen, positive, np.zeros(4, dtype=int), 4).values()) == {None}
