"""Density, coverage, precision, recall: against the authors' package, and the values that theory knows."""

import numpy as np
import pytest
import torch
from prdc import compute_prdc

from src.evaluation import density_coverage as density_coverage_module
from src.evaluation import distances
from src.evaluation.density_coverage import density_coverage
from src.evaluation.rounding_bounds import full_precision

SETS = {
    "normal": lambda g: (g.normal(size=(150, 600)), 0.9 * g.normal(size=(110, 600)) + 0.1),
    "few dimensions": lambda g: (g.normal(size=(150, 3)), g.normal(size=(110, 3))),
    "on a surface": lambda g: [g.normal(size=(n, 4)) @ np.linspace(-1, 1, 160).reshape(4, 40) for n in (150, 110)],
    "tight clusters": lambda g: [np.eye(60)[g.integers(9, size=n)] + 1e-3 * g.normal(size=(n, 60)) for n in (150, 110)],
    "norms that differ": lambda g: [g.normal(size=(n, 30)) * np.exp(2 * g.normal(size=(n, 1))) for n in (150, 110)],
    "many zeros": lambda g: [np.maximum(g.normal(size=(n, 64)) - 1, 0) for n in (150, 110)],
    "collapsed": lambda g: (g.normal(size=(150, 64)), 0.1 * g.normal(size=(110, 64))),
}  # fmt: skip


def normal(count: int, dimensions: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimensions))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(("nearest_k", "seed"), [(1, 0), (5, 1)])
def test_it_equals_the_authors_package_in_float64(name: str, nearest_k: int, seed: int) -> None:
    real, fake = SETS[name](np.random.default_rng(seed))
    expected = compute_prdc(real, fake, nearest_k)
    assert density_coverage(real, fake, nearest_k, chunk=64) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", SETS)
def test_float32_features_are_compared_in_float64_and_equal_the_authors_package(name: str) -> None:
    real, fake = (x.astype(np.float32) for x in SETS[name](np.random.default_rng(0)))
    found = density_coverage(real, fake)
    assert found == density_coverage(real.astype(np.float64), fake.astype(np.float64))
    assert found == pytest.approx(compute_prdc(real, fake, 5), abs=1e-12)


def test_recall_is_precision_with_the_sides_exchanged() -> None:
    real, fake = normal(90, 8, seed=0), 0.7 * normal(70, 8, seed=1)
    one, other = density_coverage(real, fake), density_coverage(fake, real)
    assert (one["recall"], one["precision"]) == (other["precision"], other["recall"])


@pytest.mark.parametrize("dimensions", [5, 300])
def test_a_fake_image_at_exactly_the_radius_is_outside_the_ball(dimensions: int) -> None:
    """Distances between corners of a cube are whole numbers: every comparison that matters is a tie."""
    generator = np.random.default_rng(0)
    real, fake = (generator.integers(2, size=(60, dimensions)) for _ in range(2))
    between = np.abs(real[:, None] - real).sum(2), np.abs(real[:, None] - fake).sum(2)
    radii = np.sort(between[0], 1)[:, 5]  # the smallest is the image itself
    inside = between[1] < radii[:, None]
    found = density_coverage(real, fake)
    assert found["density"] == inside.sum() / (5 * 60) and found["coverage"] == inside.any(1).mean()


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_chunked_is_full(chunk: int) -> None:
    real, fake = normal(25, 5, seed=0), normal(15, 5, seed=1)
    assert density_coverage(real, fake, chunk=chunk) == density_coverage(real, fake)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_mapped_from_a_file_give_the_same(tmp_path, dtype: type) -> None:
    sets = [normal(70, 12, seed).astype(dtype) for seed in (0, 1)]
    for name, x in zip("rf", sets, strict=True):
        np.save(tmp_path / f"{name}.npy", x)
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "rf"]
    assert density_coverage(*mapped, chunk=16) == density_coverage(*sets)


def test_products_are_never_in_reduced_precision_behind_our_back_and_the_users_choice_is_restored(monkeypatch) -> None:
    backends, seen = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul), []

    def watched(*arguments):
        seen.append([backend.fp32_precision for backend in backends])
        return distances.points(*arguments)

    monkeypatch.setattr(density_coverage_module, "points", watched)
    chosen = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        density_coverage(normal(60, 40, seed=0), normal(60, 40, seed=1))
        assert seen == [["ieee", "ieee"]]
        assert torch.get_float32_matmul_precision() == "medium" and torch.backends.cuda.matmul.allow_tf32
        with pytest.raises(KeyError), full_precision():
            raise KeyError
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(chosen)


def test_far_from_the_origin_nothing_changes() -> None:
    real, fake = normal(80, 4, seed=0), normal(80, 4, seed=1)
    assert density_coverage(real + 1e6, fake + 1e6) == density_coverage(real, fake)


@pytest.mark.parametrize("chunk", [16, 2048])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_identical_sets_have_density_1_and_coverage_1_exactly(chunk: int, dtype: type) -> None:
    x = normal(100, 300, seed=0).astype(dtype)
    assert set(density_coverage(x, x, chunk=chunk).values()) == {1.0}


def test_images_that_are_all_the_same_are_in_no_ball() -> None:
    same = np.full((40, 7), 0.3)
    assert set(density_coverage(same, same).values()) == {0.0}
    assert density_coverage(normal(40, 7, seed=0), same)["coverage"] < 1


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


def test_sets_that_cannot_be_compared_are_refused() -> None:
    x = normal(6, 3, seed=0)
    for fake, k in [(x, 6), (x, 0), (x[:, :2], 2), (x[:0], 2)]:
        with pytest.raises(ValueError, match="nearest_k"):
            density_coverage(x, fake, nearest_k=k)
    with pytest.raises(ValueError, match="nearest_k"):
        density_coverage(x, x[:2], nearest_k=2)
    for bad in (np.inf, np.nan, 1e300):
        with pytest.raises(ValueError, match="finite"):
            density_coverage(x, np.where(np.eye(6, 3), bad, x))
