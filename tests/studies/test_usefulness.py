"""Does a metric predict the gain? Within seeds, so that easy splits do not pass for good images."""

import numpy as np
import pytest
from scipy import stats

from src.studies.figures import against_gain
from src.studies.usefulness import Points, correlations, points


def row(seed: int, fid: float, few: float, base: float) -> dict:
    return {"seed": seed, "arms": {"base": {"few": base}, "guided": {"few": few, "fid": fid, "density": None}}}


ROWS = [(row(seed, fid, 0.9 - fid / 100 + seed / 10, 0.5), "guided") for seed in (1, 2, 3) for fid in (1.0, 2.0, 3.0)]


def test_a_metric_that_orders_the_gain_within_every_seed_correlates_perfectly():
    """Seed 3 is easier than seed 1 at any FID, which over all points would blur the order."""
    found = points(ROWS, "few")
    assert set(found) == {"fid"}
    assert found["fid"].x == [-1, 0, 1] * 3
    assert found["fid"].y == pytest.approx([1, 0, -1] * 3)
    assert correlations(found)["fid"] == pytest.approx((-1, -1, -1))
    assert against_gain(found, "few")[:4] == b"\x89PNG"


def test_rho_is_spearmans_within_a_seed_and_its_interval_is_students_over_seeds():
    generator = np.random.default_rng(0)
    seeds = np.repeat(np.arange(4), 6)
    x, y = generator.normal(size=24), generator.normal(size=24)
    rhos = [stats.spearmanr(x[seeds == seed], y[seeds == seed]).statistic for seed in range(4)]
    mean, low, high = correlations({"fid": Points([(seed, "") for seed in seeds], x.tolist(), y.tolist())})["fid"]
    interval = stats.ttest_1samp(rhos, 0).confidence_interval()
    assert mean == pytest.approx(np.mean(rhos))
    assert (low, high) == pytest.approx((max(interval.low, -1), min(interval.high, 1)))


def test_copies_of_a_seeds_points_make_the_interval_no_narrower():
    groups = [(seed, "") for seed in (1, 2, 3) for _ in range(3)]
    x, y = [1.0, 2.0, 3.0] * 3, [1.0, 2.0, 3.0, 1.0, 3.0, 2.0, 2.0, 1.0, 3.0]
    once = correlations({"fid": Points(groups, x, y)})["fid"]
    assert correlations({"fid": Points(groups * 9, x * 9, y * 9)})["fid"] == pytest.approx(once)


def test_too_few_experiments_say_nothing():
    assert points(ROWS[:8], "few") == {} == points([], "few")


def test_images_that_a_seeds_experiments_share_say_nothing():
    """Only the classifiers differ; what rounding leaves of the differences is no metric."""
    noise = (0, 1e-17, -1e-17)
    rows = [(row(seed, 0.1 + seed / 7 + n, few, 0.5), "guided") for seed in (1, 2, 3)
            for few, n in zip((0.6, 0.7, 0.75), noise, strict=True)]  # fmt: skip
    assert points(rows, "few") == {}


def test_on_the_validation_split_the_gain_is_that_there():
    """A row of before there was one has no gain there, whatever it has on test."""
    known = [({**r, "validation": {arm: {"few": 1 - r["arms"][arm]["few"]} for arm in r["arms"]}}, a) for r, a in ROWS]
    assert points(known, "few", "val")["fid"].y == pytest.approx([-1, 0, 1] * 3)
    assert points(ROWS, "few", "val") == {}


def test_on_a_map_what_a_column_does_to_both_counts_for_nothing():
    """More guidance lowers FID and accuracy here; within a column the lower FID is the better one."""
    rows = [
        ({**row(seed, 10 * column + fid, (50 + 20 * column - fid) / 100, 0.5), "column": str(column)}, "guided")
        for seed in (1, 2, 3) for column in (0, 1) for fid in (1.0, 2.0, 3.0)
    ]  # fmt: skip
    assert correlations(points(rows, "few"))["fid"] == pytest.approx((-1, -1, -1))
    blind = [({**r, "column": ""}, arm) for r, arm in rows]
    assert correlations(points(blind, "few"))["fid"][0] > 0
