"""Accuracy overall, by class, by shot (many, medium, few) and by group, macro F1, calibration and fairness.

The long-tail protocol of Liu et al. (CVPR 2019): shots follow the counts of the *training* images.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from src.classifiers.features import extract
from src.data.imbalance import shots
from src.data.labelled_images import LabelledImages
from src.data.names import Names
from src.evaluation.fairness import fairness_report
from src.evaluation.groups import group_report, mean_by
from src.shards.lazy_images import Images

BINS = 15  # of the calibration error, as in Guo et al.
MATRIX_CLASSES = 100  # beyond, the confusion matrix would be megabytes, and the predictions say the same in less


def predict(model: nn.Module, images: Images, batch: int = 256) -> np.ndarray:
    """Return class probabilities, float64 (N, C), in evaluation mode. images: uint8 (N, H, W, 3)."""
    model.eval()
    device = next(model.parameters()).device
    logits = extract(lambda x: model(x.to(device)), images, batch)
    return torch.from_numpy(logits).softmax(1).numpy()


def class_accuracies(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the accuracy of each class (C,), NaN for classes that do not occur in `labels`.

    probabilities: (N, C). labels: (N,) integers below C.
    """
    return mean_by(probabilities.argmax(1) == labels, labels, probabilities.shape[1])


def macro_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean accuracy over the classes that occur. Shapes as in `class_accuracies`."""
    return float(np.nanmean(class_accuracies(probabilities, labels)))


def worst_group_accuracy(probabilities: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """Return the accuracy of the worst group that occurs, by which models are selected on group-imbalanced data.

    probabilities: (N, C). labels: (N,) integers below C. groups: (N,) integers from 0.
    """
    return float(np.nanmin(mean_by(probabilities.argmax(1) == labels, groups, int(groups.max()) + 1)))


def by_shot(class_values: np.ndarray, counts: Sequence[int]) -> dict[str, float | None]:
    """Return the mean over the classes of each shot; None where a shot has no class with a value.

    class_values: (C,), NaN for no value. counts: training images per class.
    """
    means: dict[str, float | None] = {}
    for shot, classes in shots(counts).items():
        values = class_values[classes]
        means[shot] = finite(np.nanmean(values)) if np.isfinite(values).any() else None
    return means


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> list[dict[str, float | None]]:
    """Return confidence, accuracy and share of the images in each of 15 bins of equal width (Guo et al., ICML 2017).

    probabilities: (N, C). labels: (N,). Confidence and accuracy are means over the bin, None in an empty one.
    """
    confidence, right, bins = _binned(probabilities, labels)
    sizes = np.bincount(bins, minlength=BINS)
    sums = (np.bincount(bins, values, minlength=BINS) for values in (confidence, right))
    means = [np.divide(total, sizes, out=np.full(BINS, np.nan), where=sizes > 0) for total in sums]
    rows = zip(*means, sizes / len(labels), strict=True)
    return [{"confidence": finite(c), "accuracy": finite(a), "share": float(share)} for c, a, share in rows]


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the expected calibration error in [0, 1], from the bins of `reliability`."""
    confidence, right, bins = _binned(probabilities, labels)
    gaps = np.bincount(bins, confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


def _binned(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    confidence = probabilities.max(1)
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return confidence, probabilities.argmax(1) == labels, bins


def accuracy_report(
    probabilities: np.ndarray,
    labels: np.ndarray,
    counts: Sequence[int],
    class_names: Sequence[str],
    contexts: np.ndarray | None = None,
    context_names: Sequence[str] | None = None,
    group_counts: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Return everything that is reported about a classifier on a test set, ready for JSON.

    probabilities: (N, C). labels: (N,) integers. counts: training images per class. class_names: C names.
    overall is the share of right images; many, medium, few and macro are means of class accuracies. A mean of
    nothing is None. per_class: accuracy, F1, training and test images. confusion: row = true class;
    None for more than 100 classes.
    With contexts, (N,) integers, the names of all A and the training images per group, (C * A,), come `groups` and
    `fairness`, as their reports describe them.
    """
    classes, predicted = len(class_names), probabilities.argmax(1)
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    accuracies = class_accuracies(probabilities, labels)
    right, involved = np.diag(confusion), confusion.sum(0) + confusion.sum(1)
    f1 = np.divide(2 * right, involved, out=np.full(classes, np.nan), where=involved > 0)
    report = {
        "overall": float(right.sum() / len(labels)),
        **by_shot(accuracies, counts),
        "macro": float(np.nanmean(accuracies)),
        "macro_f1": float(np.nanmean(f1)),
        "ece": calibration_error(probabilities, labels),
        "per_class": {
            name: {
                "accuracy": finite(accuracies[k]),
                "f1": finite(f1[k]),
                "train_images": int(counts[k]),
                "test_images": int(confusion[k].sum()),
            }
            for k, name in enumerate(class_names)
        },
        "confusion": confusion.tolist() if classes <= MATRIX_CLASSES else None,
    }
    if contexts is not None:
        if context_names is None or group_counts is None:
            raise ValueError("contexts need their names and the training images per group")
        report["groups"] = group_report(predicted, labels, contexts, class_names, context_names, group_counts)
        report["fairness"] = fairness_report(predicted, labels, contexts, class_names, context_names)
    return report


DETAILS = frozenset({"per_class", "per_group", "confusion"})


def validation_report(
    model: nn.Module,
    validation: LabelledImages,
    names: Names,
    counts: tuple[Sequence[int], Sequence[int] | None],
    later: Mapping[str, float],
) -> dict[str, Any]:
    """Return the `accuracy_report` of validation images without its DETAILS: to choose by, while test stays unseen.

    counts: training images per class and, where there are contexts, per group. later: of each stage after the training,
    the share of the images that it put into another class; kept beside the report as `later_stages`.
    """
    groups: dict[str, Any] = {}
    if names.contexts is not None and validation.groups is not None:
        contexts = validation.groups % len(names.contexts)
        groups = {"contexts": contexts, "context_names": names.contexts, "group_counts": counts[1]}
    probabilities = predict(model, validation.images)
    report = _summary(accuracy_report(probabilities, validation.labels, counts[0], names.classes, **groups))
    return {**report, **({"later_stages": dict(later)} if later else {})}


def _summary(report: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in report.items() if name not in DETAILS}
    return {name: _summary(value) if isinstance(value, dict) else value for name, value in kept.items()}


def finite(value: float) -> float | None:
    """The number for JSON, None in place of NaN."""
    return float(value) if np.isfinite(value) else None
