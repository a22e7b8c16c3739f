"""Accuracy reports: hand-made cases, scikit-learn as the reference, and empty shots as null."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, f1_score
from torch import nn

from src.data.labelled_images import LabelledImages
from src.data.names import Names
from src.evaluation.accuracy import (
    accuracy_report,
    calibration_error,
    macro_accuracy,
    predict,
    reliability,
    validation_report,
    worst_group_accuracy,
)
from src.shards.pixels import to_tensor

NAMES = ["a", "b", "c", "d"]


def answers(predicted: list[int], confidence: float = 1.0) -> np.ndarray:
    rest = (1 - confidence) / 3
    return np.where(np.eye(4, dtype=bool)[predicted], confidence, rest)


def test_shots_are_means_of_class_accuracies_and_empty_shots_are_null() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    report = accuracy_report(answers([0, 0, 0, 1, 1, 1, 0, 2]), labels, [500, 101, 19, 5], NAMES)
    assert report["overall"] == 6 / 8
    assert report["many"] == (3 / 4 + 1) / 2 and report["few"] == 1 / 2
    assert report["medium"] is None
    assert report["per_class"]["d"] == {"accuracy": None, "f1": None, "train_images": 5, "test_images": 0}
    json.dumps(report, allow_nan=False)


def test_it_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    labels, predicted = np.arange(80) % 4, generator.integers(4, size=80)
    report = accuracy_report(answers(list(predicted)), labels, [200, 50, 50, 5], NAMES)
    assert report["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert report["confusion"] == confusion_matrix(labels, predicted).tolist()


def test_the_worst_class_weighs_as_much_as_the_largest() -> None:
    assert macro_accuracy(answers([0] * 10), np.array([0] * 9 + [1])) == 0.5


def test_contexts_add_groups_and_fairness_and_change_nothing_else() -> None:
    labels, contexts = np.arange(40) % 4, np.arange(40) // 20
    probabilities = answers([k if k < 2 else 0 for k in labels], confidence=0.8)
    plain = accuracy_report(probabilities, labels, [200, 50, 50, 5], NAMES)
    report = accuracy_report(
        probabilities, labels, [200, 50, 50, 5], NAMES, contexts, ["in", "out"], [150, 50, 25, 25, 50, 0, 0, 5]
    )
    assert list(report) == [*plain, "groups", "fairness"] and {name: report[name] for name in plain} == plain
    assert report["groups"]["mean"] == 0.5 and report["groups"]["worst"] == 0
    assert report["groups"]["per_group"][5]["train_images"] == 0
    assert report["fairness"]["equal_opportunity_difference"] == {"max": 0, "mean": 0}
    json.dumps(report, allow_nan=False)


def test_a_matrix_of_thousands_of_classes_is_left_to_the_predictions() -> None:
    labels = np.arange(101)
    report = accuracy_report(np.eye(101), labels, [1] * 101, [str(k) for k in labels])
    assert report["confusion"] is None and report["per_class"]["100"]["test_images"] == 1
    assert len(accuracy_report(np.eye(100), labels[:100], [1] * 100, NAMES * 25)["confusion"]) == 100


def test_contexts_without_names_or_training_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="names and the training images per group"):
        accuracy_report(answers([0, 1]), np.array([0, 1]), [9, 9, 9, 9], NAMES, np.array([0, 1]), ["in", "out"])


def test_the_worst_group_is_that_of_the_groups_that_occur() -> None:
    labels, groups = np.array([0, 0, 1, 1, 1]), np.array([0, 0, 7, 7, 7])
    assert worst_group_accuracy(answers([0, 1, 1, 1, 1]), labels, groups) == 0.5


def test_calibration_is_the_gap_between_confidence_and_accuracy() -> None:
    labels = np.zeros(10, dtype=int)
    assert calibration_error(answers([0] * 7 + [1] * 3, confidence=0.7), labels) == pytest.approx(0)
    assert calibration_error(answers([1] * 10, confidence=0.9), labels) == pytest.approx(0.9)
    mixed = np.vstack([answers([0] * 5, 0.6), answers([1] * 5, 0.9)])
    assert calibration_error(mixed, labels) == pytest.approx(0.5 * 0.4 + 0.5 * 0.9)


def test_predictions_do_not_depend_on_the_batch_and_leave_dropout_out() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, 3))
    images = np.random.default_rng(0).integers(256, size=(7, 4, 4, 3), dtype=np.uint8)
    one, all_at_once = predict(model, images, batch=1), predict(model, images)
    assert one.dtype == np.float64 and np.allclose(one, all_at_once, atol=1e-6)
    assert np.allclose(one, model(to_tensor(images)).softmax(1).detach(), atol=1e-6)


def test_the_bins_of_the_calibration_error_are_told_apart() -> None:
    labels = np.zeros(10, int)
    mixed = np.concatenate([answers([0] * 5, confidence=0.6), answers([1] * 5, confidence=0.9)])
    bins = reliability(mixed, labels)
    filled = [row for row in bins if row["share"]]
    assert [(row["confidence"], row["accuracy"], row["share"]) for row in filled] == [
        (pytest.approx(0.6), 1.0, 0.5),
        (pytest.approx(0.9), 0.0, 0.5),
    ]
    assert sum(row["share"] * abs(row["confidence"] - row["accuracy"]) for row in filled) == pytest.approx(
        calibration_error(mixed, labels)
    )
    assert all(row["confidence"] is None and row["accuracy"] is None for row in bins if not row["share"])


@pytest.mark.parametrize("contexts", [None, ("in", "out")])
def test_a_validation_report_is_the_accuracy_report_without_its_details(contexts) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
    images = np.random.default_rng(0).integers(256, size=(12, 4, 4, 3), dtype=np.uint8)
    labels, counts, group_counts = np.arange(12) % 4, [500, 101, 19, 5], list(range(1, 9))
    places = np.arange(12) // 4 % 2
    data = LabelledImages(images, labels, None if contexts is None else 2 * labels + places)
    report = validation_report(model, data, Names(tuple(NAMES), contexts), (counts, group_counts), {})
    groups = {} if contexts is None else {
        "contexts": places, "context_names": contexts, "group_counts": group_counts
    }  # fmt: skip
    full = accuracy_report(predict(model, images), labels, counts, NAMES, **groups)
    assert report.keys() == full.keys() - {"per_class", "confusion"}
    for name, value in report.items():
        kept = {key: full[name][key] for key in value} if isinstance(value, dict) else full[name]
        assert value == kept
    assert not any(word in json.dumps(report) for word in ("confusion", "per_class", "per_group"))
    assert ("groups" in report) == (contexts is not None) and json.dumps(report, allow_nan=False)
