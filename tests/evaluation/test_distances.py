"""Bounds of distances hold, for every number format; and where they decide nothing, float64 does."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.evaluation.distances import Block, Points, points
from src.evaluation.neighbours import radii
from src.evaluation.rounding_bounds import RoundingBound

CPU = torch.device("cpu")
DTYPES = (torch.float32, torch.float64)


def both(real: np.ndarray, fake: np.ndarray, dtype: torch.dtype) -> tuple[Points, Points, list[RoundingBound]]:
    """Points, and the bounds from `dtype` on."""
    a, b, ladder = points(real, fake, CPU)
    assert tuple(level.dtype for level in ladder) == DTYPES
    return a, b, ladder[DTYPES.index(dtype) :]


def exact(a: Points, b: Points) -> np.ndarray:
    difference = a.features[:, None].astype(np.longdouble) - b.features.astype(np.longdouble)
    return (difference**2).sum(2) * a.scale**2


@given(
    st.sampled_from(DTYPES), st.integers(1, 80), st.sampled_from([1e-20, 1e-3, 1.0, 1e10]), st.integers(0, 2**32 - 1),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_every_distance_lies_between_its_bounds(dtype, dimensions, size, seed, coarse) -> None:
    """coarse: few different numbers, so that the errors of a row all point the same way."""
    generator = np.random.default_rng(seed)
    sets = [size * (generator.normal(size=(20, dimensions)) + generator.normal(size=dimensions)) for _ in range(2)]
    sets = [np.sign(x) * size * 1.003 for x in sets] if coarse else sets
    a, b, ladder = both(sets[0], sets[1] * np.exp(generator.normal(size=(20, 1))), dtype)
    block = Block(a, slice(0, 20), b, slice(0, 20), ladder)
    high = ladder[0].upper(block.low.double(), block.squares[0][:, None] + block.squares[1])
    true = exact(a, b)
    assert (block.low.double().numpy() <= true).all() and (true <= high.numpy()).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_below_a_limit_does_not_depend_on_the_products(dtype) -> None:
    generator = np.random.default_rng(0)
    real, fake = generator.normal(size=(40, 700)), generator.normal(size=(30, 700))
    a, b, ladder = both(real, fake, dtype)
    true = exact(a, b).astype(np.float64)[7:27, 5:]
    limit = np.sort(true, 1)[:, 9:11].mean(1, keepdims=True)
    for rows in (slice(7, 27), torch.arange(7, 27)):
        i, j = Block(a, rows, b, slice(5, 30), ladder).below(torch.from_numpy(limit))
        assert list(zip(i.tolist(), j.tolist(), strict=True)) == [tuple(pair) for pair in np.argwhere(true < limit)]


def test_a_block_that_leaves_too_much_open_is_done_again_in_finer_precision() -> None:
    generator = np.random.default_rng(0)
    far = np.repeat([[0.0], [1.0]], 20, 0)
    a, b, ladder = points(*(far + 1e-4 * generator.normal(size=(40, 50)) for _ in range(2)), CPU)
    block = Block(a, slice(0, 40), b, slice(0, 40), ladder)
    limit = np.median(exact(a, b)[:, :20], 1, keepdims=True)
    i, _ = block.below(torch.from_numpy(limit.astype(np.float64)))
    assert block.bounds[0].dtype == torch.float64 and len(i) == (exact(a, b) < limit).sum()


@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-5, 0.0])
def test_radii_are_those_of_sorted_float64_distances(spread) -> None:
    """From well apart to clusters in which only float64 differences tell who is near, and to duplicates."""
    generator = np.random.default_rng(0)
    x = np.eye(40)[generator.integers(3, size=150)] + spread * generator.normal(size=(150, 40))
    a, _, ladder = points(x, x, CPU)
    expected = np.sort(exact(a, a), 1)
    for k, chunk in ((1, 32), (5, 1024), (149, 64)):
        found = radii(a, k, chunk, ladder)
        assert np.allclose(found, expected[:, k].astype(np.float64), rtol=1e-13, atol=0)
