"""Intervals over seeds: known values, and what pairing cancels."""

import numpy as np
import pytest
from scipy import stats

from src.evaluation.intervals import mean_ci, plus_minus


def test_the_interval_is_students(tmp_path):
    values = [83.1, 84.0, 82.2, 85.3]
    mean, half = mean_ci(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert mean_ci([0.0, 2.0]) == pytest.approx((1.0, 12.7062), abs=1e-4)
    with pytest.raises(ValueError, match="two values"):
        mean_ci([1.0])


def test_a_mean_is_written_with_its_interval_or_alone():
    assert plus_minus(1.25, 0.125, 2) == "1.25 ± 0.12" and plus_minus(71.0, None) == "71.0"
    assert plus_minus(0.5, 0.25, signed=True) == "+0.5 ± 0.2" and plus_minus(-0.5, 0.25, 2, True) == "-0.50 ± 0.25"
