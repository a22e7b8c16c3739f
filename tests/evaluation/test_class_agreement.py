"""Agreement: the share of synthetic images that show what was asked for."""

import numpy as np

from src.evaluation.class_agreement import class_agreement


def test_agreement_is_over_images_overall_and_over_classes_per_shot() -> None:
    labels = np.array([0, 0, 0, 1, 2])
    report = class_agreement(np.eye(3)[[0, 0, 1, 1, 0]], labels, [300, 200, 4], "abc")
    assert report == {
        "overall": 3 / 5,
        "many": (2 / 3 + 1) / 2,
        "medium": None,
        "few": 0.0,
        "per_class": {"a": 2 / 3, "b": 1.0, "c": 0.0},
    }
