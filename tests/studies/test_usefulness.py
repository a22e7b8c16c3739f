"""Does a metric predict the gain? Within seeds, so that easy splits do not pass for good images."""

import pytest

from src.studies.figures import against_gain
from src.studies.usefulness import correlations, points


def row(seed: int, fid: float, few: float, base: float) -> dict:
    return {"seed": seed, "arms": {"base": {"few": base}, "guided": {"few": few, "fid": fid, "density": None}}}


ROWS = [(row(seed, fid, 0.9 - fid / 100 + seed / 10, 0.5), "guided") for seed in (1, 2) for fid in (1.0, 2.0, 3.0)]


def test_a_metric_that_orders_the_gain_within_every_seed_correlates_perfectly():
    """Seed 2 is easier than seed 1 at any FID, which over all points would blur the order."""
    found = points(ROWS, "few")
    assert set(found) == {"fid"}
    assert found["fid"].x == [-1, 0, 1, -1, 0, 1]
    assert found["fid"].y == pytest.approx([1, 0, -1, 1, 0, -1])
    assert correlations(found, "x")["fid"][0] == pytest.approx(-1)
    assert against_gain(found, "x", "few")[:4] == b"\x89PNG"


def test_too_few_experiments_say_nothing():
    assert points(ROWS[:5], "few") == {} == points([], "few")


def test_images_that_a_seeds_experiments_share_say_nothing():
    """Only the classifiers differ; what rounding leaves of the differences is no metric."""
    rows = [(row(seed, 0.1 + seed / 7, few, 0.5), "guided") for seed in (1, 2) for few in (0.6, 0.7, 0.75)]
    assert points(rows, "few") == {}
