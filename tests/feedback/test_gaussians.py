"""Hardness against scipy's normal density; class Gaussians that exist for a class of one image."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf

from src.errors import InputError
from src.feedback.gaussians import fit_gaussians


def features_of(counts: list[int], dimensions: int = 5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts)), counts)
    mixing = generator.standard_normal((dimensions, dimensions))
    means = 3 * generator.standard_normal((len(counts), dimensions))
    return generator.standard_normal((len(labels), dimensions)) @ mixing + means[labels], labels


@pytest.mark.parametrize("shrinkage", ["tied", "class"])
def test_hardness_is_minus_the_log_density_of_the_class(shrinkage: str) -> None:
    features, labels = features_of([60, 20, 3])
    gaussians = fit_gaussians(features, labels, 3, shrinkage)
    means = np.stack([features[labels == k].mean(0) for k in range(3)])
    residuals = features - means[labels]
    h = features[::7]
    for k in range(3):
        own = residuals if shrinkage == "tied" else residuals[labels == k]
        covariance = ledoit_wolf(own, assume_centered=True)[0]
        hardness = gaussians.hardness(None, torch.from_numpy(h), torch.full((len(h),), k))
        # The ridge of a millionth of the mean variance, for constant features, is all that differs.
        assert np.allclose(hardness, -multivariate_normal.logpdf(h, means[k], covariance), rtol=1e-4)
        exact = np.linalg.inv(gaussians.precision[k].numpy())
        assert np.allclose(hardness, -multivariate_normal.logpdf(h, means[k], exact), rtol=1e-9)


def test_a_single_image_is_enough_for_a_tied_gaussian() -> None:
    features, labels = features_of([60, 1])
    gaussians = fit_gaussians(features, labels, 2, "tied")
    assert torch.equal(gaussians.mean[1], torch.from_numpy(features[-1]))
    assert torch.equal(gaussians.precision[0], gaussians.precision[1])
    with pytest.raises(InputError, match=r"class 1 has 1 training images.*use 'tied'"):
        fit_gaussians(features, labels, 2, "class")


def test_features_that_never_fire_leave_the_density_finite() -> None:
    features, labels = features_of([40, 5])
    features[:, 2] = 0
    for shrinkage in ("tied", "class"):
        gaussians = fit_gaussians(features, labels, 2, shrinkage)
        assert torch.isfinite(gaussians.hardness(None, torch.from_numpy(features), torch.from_numpy(labels))).all()


def test_hardness_grows_with_the_distance_from_the_class() -> None:
    features, labels = features_of([60, 20])
    gaussians = fit_gaussians(features, labels, 2)
    steps = gaussians.mean[0] + torch.linspace(0, 9, 10)[:, None].double()
    hardness = gaussians.hardness(None, steps, torch.zeros(10, dtype=torch.long))
    assert (hardness.diff() > 0).all()


def test_float32_features_keep_their_precision() -> None:
    features, labels = features_of([60, 20])
    h = torch.from_numpy(features).float()
    hardness = fit_gaussians(features, labels, 2).hardness(None, h, torch.from_numpy(labels))
    assert hardness.dtype == torch.float32


def test_a_class_without_images_is_named_with_its_own_count() -> None:
    features, labels = features_of([30, 1, 0])
    with pytest.raises(InputError, match="class 2 has 0 training images"):
        fit_gaussians(features, labels, 3, "tied")
    with pytest.raises(InputError, match="class 1 has 1 training images"):
        fit_gaussians(features, labels, 3, "class")


def test_an_unknown_shrinkage_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="'diagonal' is unknown; choose one of tied, class"):
        fit_gaussians(*features_of([9]), 1, "diagonal")
