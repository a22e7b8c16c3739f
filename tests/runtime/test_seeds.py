"""Seeds are addresses: stable across machines, distinct for distinct purposes."""

import enum

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src.runtime.seeds import derive, numpy_generator, torch_generator
from tests.synthesis import reference_plan

PARTS = st.lists(st.integers() | st.text(max_size=4), max_size=3)


def test_a_seed_is_the_same_on_every_machine():
    assert derive("image", 0, 3, 7) == 8093564723937306453


@given(PARTS, PARTS)
def test_seeds_are_63_bit_and_differ_where_their_parts_do(a, b):
    assert 0 <= derive(*a) < 2**63
    assert (derive(*a) == derive(*b)) == (a == b)


class Number(enum.IntEnum):
    SEVEN = 7


class Word(enum.StrEnum):
    ACCENTED = "\u00e9"


@given(
    st.lists(
        st.integers()
        | st.text(st.characters())  # lone surrogates, control characters and quotes too
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1).map(np.int64)
        | st.sampled_from([Number.SEVEN, Word.ACCENTED]),
        max_size=5,
    )
)
def test_a_seed_is_the_hash_of_its_parts_as_json(parts):
    assert derive(*parts) == reference_plan.derive(*parts)


def test_numpy_integers_count_as_integers_and_text_does_not():
    assert derive(np.int64(1)) == derive(1) != derive("1")


def test_a_float_is_refused():
    with pytest.raises(TypeError):
        derive(0.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        derive("image", None)  # type: ignore[arg-type]


def test_generators_repeat_their_draws():
    assert torch.equal(torch.rand(3, generator=torch_generator(1)), torch.rand(3, generator=torch_generator(1)))
    assert numpy_generator("a").random() == numpy_generator("a").random() != numpy_generator("b").random()
