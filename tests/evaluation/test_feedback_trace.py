"""What feedback did: means of what sampling recorded, and one judge for all images."""

import math

import numpy as np
import pytest

from src.evaluation.feedback_trace import feedback_trace, loss_and_entropy
from src.shards.store import Shards, write_all

PIXELS = np.zeros((2, 2, 3), np.uint8)


def recorded(before: float | None, after: float | None, updates: int, skipped: int) -> dict:
    return {"label": 0, "criterion_before": before, "criterion_after": after, "updates": updates, "skipped": skipped}


def test_loss_and_entropy_are_those_of_the_probabilities() -> None:
    scores = loss_and_entropy(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0]))
    assert scores == {"loss": pytest.approx([math.log(2), 0]), "entropy": pytest.approx([math.log(2), 0])}
    assert math.isfinite(loss_and_entropy(np.array([[1.0, 0.0]]), np.array([1]))["loss"][0])


def test_the_trace_is_averaged_over_images_and_leaves_out_what_was_not_finite(tmp_path) -> None:
    write_all(tmp_path, [(PIXELS, recorded(1.0, 3.0, 4, 0)), (PIXELS, recorded(None, 5.0, 2, 2))])
    assert feedback_trace(Shards(tmp_path), range(2)) == {"before": 1.0, "after": 4.0, "updates": 3.0, "skipped": 1.0}


def test_images_without_feedback_have_no_trace(tmp_path) -> None:
    write_all(tmp_path, [(PIXELS, recorded(None, None, 0, 0))])
    assert feedback_trace(Shards(tmp_path), range(1)) is None


def test_images_whose_every_gradient_was_not_finite_have_a_trace(tmp_path) -> None:
    write_all(tmp_path, [(PIXELS, recorded(None, None, 0, 4))] * 2)
    assert feedback_trace(Shards(tmp_path), range(2)) == {"before": None, "after": None, "updates": 0.0, "skipped": 4.0}
