"""Splits are disjoint, complete and stratified; the long tail has the asked counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.splits import long_tail, split_fractions, split_hash, split_per_class
from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator


@given(
    st.lists(st.integers(6, 12), min_size=1, max_size=5),
    st.integers(0, 3),
    st.integers(0, 2),
    st.integers(0, 99),
)
def test_every_image_is_in_one_split_and_every_class_in_its_share(sizes, test, val, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    split = split_per_class(labels, test, val, numpy_generator(seed))
    assert sorted(np.concatenate(list(split.values()))) == list(range(len(labels)))
    for name, share in [("test", test), ("val", val)]:
        assert np.bincount(labels[split[name]], minlength=len(sizes)).tolist() == [share] * len(sizes)
    assert all(np.array_equal(part, np.sort(part)) for part in split.values())


def test_a_seed_names_a_split():
    labels = np.repeat(np.arange(3), 20)
    first, again, other = (split_per_class(labels, 5, 5, numpy_generator(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first["test"], again["test"]) and not np.array_equal(first["test"], other["test"])


def test_a_class_too_small_or_empty_is_named():
    for labels in (np.repeat([0, 1], [20, 10]), np.zeros(20, int) + np.repeat([0, 2], 10)):
        with pytest.raises(InputError, match=r"class \d has \d+ images, too few"):
            split_per_class(labels, 5, 5, numpy_generator(0))
    with pytest.raises(InputError, match="needs images"):
        split_per_class(np.array([], dtype=int), 1, 1, numpy_generator(0))


def test_the_long_tail_is_a_subset_with_the_asked_counts_and_grows_with_them():
    labels = np.repeat(np.arange(3), 20)
    train = np.arange(0, 60, 2)
    small, large = (long_tail(labels, train, counts, numpy_generator(0)) for counts in ([6, 3, 1], [9, 5, 2]))
    assert set(small) < set(large) < set(train)
    assert np.bincount(labels[small]).tolist() == [6, 3, 1]
    with pytest.raises(InputError, match="class 0 has 10 training images, not 11"):
        long_tail(labels, train, [11, 1, 1], numpy_generator(0))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.floats(0, 0.5), st.floats(0, 0.49), st.integers(0, 99))
def test_shares_of_every_stratum_are_rounded_down_but_leave_none_out(sizes, val, test, seed):
    strata = [(str(k), "x") for k, size in enumerate(sizes) for _ in range(size)]
    split = split_fractions(strata, val, test, seed)
    assert sorted(np.concatenate(list(split.values()))) == list(range(len(strata)))
    for k, size in enumerate(sizes):
        train, validate, judge = (sum(strata[i][0] == str(k) for i in split[name]) for name in ("train", "val", "test"))
        assert train >= 1
        assert judge == (min(max(1, int(size * test + 1e-9)), size - 1) if test else 0)
        assert validate == (min(max(1, int(size * val + 1e-9)), size - 1 - judge) if val else 0)


def test_a_stratums_split_depends_on_its_own_images_alone():
    alone, first = split_fractions([("a",)] * 9, 0.2, 0.2, 0), split_fractions([("a",)] * 9 + [("b",)] * 9, 0.2, 0.2, 0)
    assert all(set(alone[name]) == {i for i in first[name] if i < 9} for name in alone)
    assert {tuple(split_fractions([("a",)] * 9, 0.2, 0.2, seed)["test"]) for seed in range(9)} != {tuple(alone["test"])}


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (-0.1, 0.5), (0, 1)])
def test_fractions_that_leave_nothing_are_refused(val, test):
    with pytest.raises(InputError, match="leave nothing to train on"):
        split_fractions([("a",)] * 9, val, test, 0)


def test_a_split_hash_names_the_set_and_not_its_order():
    assert split_hash([b"a", b"b"]) == split_hash([b"b", b"a"]) != split_hash([b"ab"])
    assert split_hash(np.array([1, 2])) == split_hash([2, 1]) != split_hash([1, 2, 2])
