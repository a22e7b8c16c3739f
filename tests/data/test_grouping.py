"""Positions by key are those a search finds, at a cost that does not grow with the number of keys."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.data.grouping import indices_by_key, whole_runs
from src.data.merge import uniformise, union
from src.runtime.errors import InputError
from src.training.samplers import balanced_minibatches, class_uniform, minority_sampler
from tests.data.known import Known


@given(st.lists(st.integers(-3, 300), max_size=60).map(np.array))
def test_every_key_has_its_positions_in_order(keys):
    distinct, positions = indices_by_key(keys)
    assert distinct.tolist() == sorted(set(keys.tolist()))
    for key, indices in zip(distinct, positions, strict=True):
        assert indices.dtype == np.int64 and indices.tolist() == np.flatnonzero(keys == key).tolist()


class Touched(np.ndarray):
    """An array that counts the elements which comparisons and arithmetic on it touch."""

    elements = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        Touched.elements += max(np.size(x) for x in inputs)
        return getattr(ufunc, method)(*(np.asarray(x) for x in inputs), **kwargs)


@pytest.mark.parametrize("build", [
    lambda keys: indices_by_key(keys),
    lambda keys: class_uniform(keys, 8, 0),
    lambda keys: minority_sampler(keys, 8, 0),
    lambda keys: balanced_minibatches(keys, keys, 8, 0.5, 0),
    lambda keys: union(Known(keys), Known(keys)),
    lambda keys: uniformise(Known(keys), Known(keys)),
])  # fmt: skip
def test_what_is_built_from_keys_touches_each_a_few_times_however_many_distinct_ones_there_are(build):
    for classes in (4, 400):
        Touched.elements = 0
        build((np.arange(2000) % classes).view(Touched))
        assert Touched.elements <= 10 * 2000


@given(st.lists(st.integers(1, 4), max_size=12), st.integers(4, 9))
def test_slices_cut_no_run_and_are_as_long_as_they_may_be(lengths, size):
    keys = [k for k, length in enumerate(lengths) for _ in range(length)]
    slices = whole_runs(len(keys), size, keys)
    assert [i for part in slices for i in range(part.start, part.stop)] == list(range(len(keys)))
    assert all(0 < part.stop - part.start <= size for part in slices)
    for left, right in pairwise(slices):
        assert keys[left.stop - 1] != keys[right.start]
        assert left.stop - left.start + keys.count(keys[right.start]) > size


def test_things_that_do_not_belong_together_are_cut_anywhere_and_a_run_that_is_too_long_is_refused():
    assert whole_runs(5, 2) == whole_runs(5, 2, [0, 1, 2, 3, 4]) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert whole_runs(0, 2) == whole_runs(0, 2, []) == []
    with pytest.raises(InputError, match="3 images are made together, and 2 fit at once; lower the feedback preset's"):
        whole_runs(4, 2, [0, 1, 1, 1])
