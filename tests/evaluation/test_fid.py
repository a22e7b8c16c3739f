"""FID: against the textbook formula and a published package, its symmetries, and shards merged exactly."""

from functools import reduce

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from src.evaluation import fid as fid_module
from src.evaluation.fid import GaussianStatistics, fid


def features(count: int, dimensions: int, seed: int, scale: float = 1.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(dimensions, dimensions))
    return scale * generator.normal(size=(count, dimensions)) @ mixing + generator.normal(size=dimensions)


def distance(real: np.ndarray, fake: np.ndarray) -> float:
    return fid(GaussianStatistics.of(real), GaussianStatistics.of(fake))


def textbook(real: np.ndarray, fake: np.ndarray) -> float:
    s_1, s_2 = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    gap = real.mean(0) - fake.mean(0)
    return gap @ gap + np.trace(s_1 + s_2 - 2 * scipy.linalg.sqrtm(s_1 @ s_2).real)


def test_it_is_the_formula_of_the_paper() -> None:
    real, fake = features(300, 12, seed=0), features(200, 12, seed=1, scale=0.5)
    assert distance(real, fake) == pytest.approx(textbook(real, fake), rel=1e-9)


@pytest.mark.parametrize("count", [400, 20])
def test_it_agrees_with_torch_fidelity_also_with_fewer_images_than_dimensions(count: int) -> None:
    real, fake = features(count, 40, seed=2), features(count, 40, seed=3)
    statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in (real, fake)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert distance(real, fake) == pytest.approx(expected, rel=1e-5)


def test_gaussians_known_in_closed_form() -> None:
    x = features(50, 6, seed=0)
    variance = np.cov(x, rowvar=False).trace()
    assert distance(x, x + 3) == pytest.approx(6 * 9)
    assert distance(x, x.mean(0) + 3 * (x - x.mean(0))) == pytest.approx((3 - 1) ** 2 * variance)


@given(st.integers(2, 30), st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_identical_sets_are_at_distance_0_and_the_distance_is_symmetric(count, dimensions, seed) -> None:
    x, y = features(count, dimensions, seed), features(count + 3, dimensions, seed + 100)
    assert distance(x, x[::-1]) < 1e-12 * max(1, (x**2).sum())
    assert distance(x, y) == pytest.approx(distance(y, x), rel=1e-9, abs=1e-12)


def same(found: GaussianStatistics, x: np.ndarray) -> bool:
    scatter = (x - x.mean(0)).T @ (x - x.mean(0))
    triangular = np.array_equal(found.root, np.triu(found.root)) and len(found.root) <= x.shape[1]
    return (
        found.count == len(x)
        and triangular
        and np.allclose(found.mean, x.mean(0), rtol=1e-13)
        and np.allclose(found.root.T @ found.root, scatter, rtol=1e-10, atol=1e-8)
    )


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_merged_shards_are_the_whole(sizes, dimensions) -> None:
    x = features(sum(sizes), dimensions, seed=0) + 1e3
    shards = np.split(x, np.cumsum(sizes)[:-1])
    assert same(reduce(GaussianStatistics.merge, map(GaussianStatistics.of, shards)), x)
    assert same(GaussianStatistics.of(iter(shards)), x)


@pytest.mark.parametrize("count", [3, 40, 41, 200])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_are_read_in_parts_from_memory_or_a_file(count, dtype, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(fid_module, "ROWS", 16)  # parts of 40, the dimensions
    x = features(count, 40, seed=0).astype(dtype)
    x[:, 3] = 1.5  # a dead feature
    np.save(tmp_path / "x.npy", x)
    mapped = GaussianStatistics.of(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert same(mapped, x.astype(np.float64))
    assert np.array_equal(mapped.root, GaussianStatistics.of(x).root)


@pytest.mark.parametrize("dimensions", [64, 65, 130])  # LAPACK's block of columns, and more than one
def test_features_as_wide_as_networks_are_folded_in_block_by_block(dimensions, monkeypatch) -> None:
    monkeypatch.setattr(fid_module, "ROWS", 16)  # parts of as many as dimensions
    real, fake = (features(3 * dimensions + 7, dimensions, seed=seed) for seed in (4, 5))
    assert len(list(fid_module._parts(real))) == 4
    assert same(GaussianStatistics.of(real), real)
    assert same(GaussianStatistics.of(np.array_split(real, 9)), real)
    assert distance(real, fake) == pytest.approx(textbook(real, fake), rel=1e-6)


def test_the_distance_keeps_its_digits_where_covariances_are_nearly_singular() -> None:
    """Ten directions with variances down to 1e-16: the closed form is a sum of squared differences of deviations."""
    x = np.linalg.qr(features(200, 10, seed=0) - features(200, 10, seed=0).mean(0))[0] * np.sqrt(199)
    x -= x.mean(0)
    x = np.linalg.qr(x)[0] * np.sqrt(199)
    deviations = 10.0 ** -np.arange(0, 10)
    found = distance(x * deviations, x * deviations * 2)
    assert found == pytest.approx((deviations**2).sum(), rel=1e-13)
    small = distance(x * deviations, x * (deviations + 1e-6))
    assert small == pytest.approx(10 * 1e-12, rel=1e-3)


def test_what_has_no_covariance_is_refused() -> None:
    one, two = GaussianStatistics.of(np.ones((1, 3))), GaussianStatistics.of(np.ones((2, 3)))
    with pytest.raises(ValueError, match="at least two features"):
        fid(one, two)
    with pytest.raises(ValueError, match="equal dimension"):
        fid(two, GaussianStatistics.of(np.ones((2, 4))))
    for bad in (np.array([[np.nan, 1.0]]), np.ones(3)):
        with pytest.raises(ValueError, match="finite"):
            GaussianStatistics.of(bad)
    for nothing in (np.ones((0, 3)), iter([])):
        with pytest.raises(ValueError, match="no features"):
            GaussianStatistics.of(nothing)
