"""Paired comparisons: tests and intervals against slow references and against what they promise."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.false_alarms import DESIGNS, DRAWS, MEASURES, TESTS, alarms
from src.evaluation import paired_tests
from src.evaluation.paired_tests import changes_needed, holm, interval, outcomes, p_value, posterior_interval


def test_outcomes_count_what_changed_in_each_stratum():
    before = np.array([1, 1, 0, 0, 0, 1], dtype=bool)
    after = np.array([1, 0, 1, 1, 0, 1], dtype=bool)
    assert outcomes(before, after, np.array([0, 0, 0, 0, 2, 2]), 3).tolist() == [
        [1, 1, 2, 0],
        [0, 0, 0, 0],
        [1, 0, 0, 1],
    ]


@given(st.integers(0, 12), st.integers(0, 12))
def test_the_p_value_counts_the_coin_tosses_that_are_as_uneven(lost, gained):
    n = lost + gained
    uneven = sum(math.comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(gained - lost))
    assert p_value(lost, gained) == pytest.approx(uneven / 2**n)


def test_the_interval_is_that_of_agresti_and_min():
    n, b, c = 60, 3, 12
    cells = [0.5 + b, 0.5 + c]  # lost and gained, half an image added to each of the four cells
    p_lost, p_gained = (cell / (n + 2) for cell in cells)
    wald = 1.959963984540054 * math.sqrt((p_lost + p_gained - (p_gained - p_lost) ** 2) / (n + 2))
    assert interval(b, c, n) == pytest.approx((p_gained - p_lost - wald, p_gained - p_lost + wald))


@pytest.mark.parametrize(("lost", "gained", "images"), [(0, 0, 1), (0, 1, 1), (1, 0, 1), (0, 5, 5), (0, 0, 1000)])
def test_the_interval_stays_possible_and_never_claims_certainty(lost, gained, images):
    low, high = interval(lost, gained, images)
    assert -1 <= low <= (gained - lost) / images <= high <= 1
    assert high - low > 2 / (images + 2)


@pytest.mark.parametrize("chances", [(0.0, 0.02), (0.1, 0.3), (0.05, 0.05)])
def test_the_interval_covers_the_true_difference_in_about_95_per_cent_of_the_tests(chances):
    lost, gained = chances
    n, covered = 40, 0.0
    for b, c in product(range(n + 1), repeat=2):  # exactly: every possible outcome with its probability
        if b + c <= n:
            ways = math.comb(n, b) * math.comb(n - b, c)
            probability = ways * lost**b * gained**c * (1 - lost - gained) ** (n - b - c)
            low, high = interval(b, c, n) if probability > 1e-9 else (1, -1)
            covered += probability * (low <= gained - lost <= high)
    assert covered > 0.94


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_the_step_down_of_his_paper(p_values):
    rejected, left = set(), sorted(range(len(p_values)), key=lambda k: p_values[k])
    while left and p_values[left[0]] <= (1 - 0.95) / len(left):
        rejected.add(left.pop(0))
    assert set(np.flatnonzero(holm(p_values)).tolist()) == rejected


@pytest.mark.parametrize("tests", [1, 2, 10, 100, 1000])
def test_so_many_changes_are_needed_and_one_less_is_not_enough(tests):
    needed, others = changes_needed(tests), [1.0] * (tests - 1)
    assert holm([p_value(0, needed), *others])[0]
    assert not holm([p_value(0, needed - 1), *others])[0]


def test_the_interval_of_one_large_stratum_is_the_binomial_spread_of_the_changes():
    table = np.array([[500, 60, 140, 300]])
    low, high = posterior_interval(table, lambda a: a[:, 0], "test")
    spread = 1.96 * math.sqrt((0.2 - 0.08**2) / 1000)
    assert (low, high) == pytest.approx((0.08 - spread, 0.08 + spread), abs=0.004)
    assert posterior_interval(table, lambda a: a[:, 0], "test") == (low, high)


def test_strata_are_drawn_independently_of_each_other():
    one = np.array([[500, 60, 140, 300]])
    widths = [np.diff(posterior_interval(one.repeat(count, 0), lambda a: a.mean(1), "test"))[0] for count in (1, 4)]
    assert widths[1] == pytest.approx(widths[0] / math.sqrt(4), rel=0.1)


def test_an_interval_holds_what_was_observed_and_is_certain_of_nothing():
    for row in ([0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 5, 0]):
        low, high = posterior_interval(np.array([row]), lambda a: a[:, 0], "test")
        assert -1 <= low <= (row[2] - row[1]) / sum(row) <= high <= 1
        assert high - low > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("design", DESIGNS)
def test_equally_good_classifiers_differ_beyond_noise_in_at_most_5_per_cent_of_the_draws(design, measure, monkeypatch):
    monkeypatch.setattr(paired_tests, "DRAWS", DRAWS)
    found = alarms(DESIGNS[design], MEASURES[measure], posterior_interval)
    assert found <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / TESTS)
