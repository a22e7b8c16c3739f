"""Long-tailed profiles against published totals."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.imbalance import exponential_counts, shots
from src.runtime.errors import InputError


@pytest.mark.parametrize(
    ("head", "classes", "factor", "total", "groups"),
    [
        (500, 100, 100, 10847, (35, 35, 30)),
        (500, 100, 50, 12608, (41, 41, 18)),
        (500, 100, 10, 19573, (69, 31, 0)),
        (500, 100, 200, 9502, None),
        (5000, 10, 100, 12406, None),
        (5000, 10, 50, 13996, None),
        (5000, 10, 10, 20431, None),
    ],
)
def test_cifar_profiles_have_the_published_totals_and_shots(head, classes, factor, total, groups):
    counts = exponential_counts(head, classes, factor)
    assert sum(counts) == total and counts[0] == head and counts[-1] == head // factor
    if groups:
        assert tuple(map(len, shots(counts).values())) == groups


@given(st.integers(1, 2000), st.integers(1, 50), st.data())
def test_every_factor_up_to_the_head_count_is_possible_and_falls_from_head_to_tail(head, classes, data):
    factor = data.draw(st.integers(1, head))
    counts = exponential_counts(head, classes, factor)
    assert len(counts) == classes and counts == sorted(counts, reverse=True) and min(counts) >= 1
    assert counts[0] == head
    if classes > 1:
        assert counts[-1] == head // factor


def test_an_impossible_factor_names_the_class_and_the_largest_possible():
    with pytest.raises(InputError, match=r"leaves class 9 without a training image; .* at most 60"):
        exponential_counts(60, 10, 61)
    with pytest.raises(InputError, match="leaves class 5 without"):
        exponential_counts(60, 10, 10_000)


@pytest.mark.parametrize("factor", [0.5, 0.0, -1.0, math.nan, math.inf])
def test_a_factor_below_one_or_not_finite_is_refused(factor):
    with pytest.raises(InputError, match="imbalance factor"):
        exponential_counts(60, 10, factor)


@pytest.mark.parametrize(("head", "classes"), [(0, 10), (60, 0)])
def test_an_empty_profile_is_refused(head, classes):
    with pytest.raises(InputError, match="empty"):
        exponential_counts(head, classes, 10)


def test_shots_have_their_published_borders():
    assert shots([101, 100, 20, 19, 0]) == {"many": [0], "medium": [1, 2], "few": [3, 4]}
