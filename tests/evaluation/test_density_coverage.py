"""Density and coverage: against the authors' package, and the values that theory knows."""

import numpy as np
import pytest
import torch
from prdc import compute_prdc

from src.evaluation.density_coverage import density_coverage


def normal(count: int, dimensions: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimensions))


@pytest.mark.parametrize("nearest_k", [1, 5])
def test_it_agrees_with_the_authors_package(nearest_k: int) -> None:
    real, fake = normal(150, 8, seed=0), 0.8 * normal(110, 8, seed=1) + 0.3
    expected = compute_prdc(real, fake, nearest_k)
    recall = expected.pop("recall")
    assert density_coverage(real, fake, nearest_k) == pytest.approx(expected, abs=1e-12)
    assert density_coverage(fake, real, nearest_k)["precision"] == pytest.approx(recall, abs=1e-12)


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_chunked_is_full(chunk: int) -> None:
    real, fake = normal(60, 5, seed=0), normal(40, 5, seed=1)
    assert density_coverage(real, fake, chunk=chunk) == density_coverage(real, fake)


def test_far_from_the_origin_nothing_changes() -> None:
    real, fake = normal(80, 4, seed=0), normal(80, 4, seed=1)
    assert density_coverage(real + 1e6, fake + 1e6) == density_coverage(real, fake)


@pytest.mark.parametrize("chunk", [16, 2048])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_identical_sets_have_density_1_and_coverage_1_exactly(chunk: int, dtype: type) -> None:
    x = normal(100, 300, seed=0).astype(dtype)
    assert set(density_coverage(x, x, chunk=chunk).values()) == {1.0}


def test_the_same_distribution_has_density_1_and_the_known_coverage() -> None:
    n, k, runs = 400, 5, range(6)
    found = [density_coverage(normal(n, 6, seed), normal(n, 6, seed + 50), k) for seed in runs]
    known = 1 - np.prod([(n - j) / (2 * n - j) for j in range(1, k + 1)])
    assert np.mean([f["coverage"] for f in found]) == pytest.approx(known, abs=0.01)
    assert np.mean([f["density"] for f in found]) == pytest.approx(1, abs=0.04)


def test_a_collapsed_generator_has_high_density_and_low_coverage() -> None:
    real = normal(300, 16, seed=0)
    found = density_coverage(real, 0.05 * normal(300, 16, seed=1))
    assert found["density"] > 1.5 and found["precision"] == 1
    assert found["coverage"] < 0.5


def test_an_outlier_among_the_real_images_hardly_moves_density() -> None:
    real, fake = normal(300, 4, seed=0), 8 + 0.5 * normal(300, 4, seed=1)
    outlier = np.vstack([real, np.full((1, 4), 9.0)])
    before, after = density_coverage(real, fake), density_coverage(outlier, fake)
    assert after["precision"] > before["precision"] + 0.9 and after["density"] < 0.25


def test_a_tensor_gives_the_same_as_an_array() -> None:
    real, fake = normal(30, 4, seed=0), normal(30, 4, seed=1)
    assert density_coverage(torch.from_numpy(real), torch.from_numpy(fake)) == density_coverage(real, fake)


def test_sets_that_cannot_be_compared_are_refused() -> None:
    x = normal(6, 3, seed=0)
    for fake, k in [(x, 6), (x, 0), (x[:, :2], 2), (x[:0], 2)]:
        with pytest.raises(ValueError, match="nearest_k"):
            density_coverage(x, fake, nearest_k=k)
    with pytest.raises(ValueError, match="finite"):
        density_coverage(np.full((6, 3), np.inf), x)
