"""Hardness against scipy's normal density; class Gaussians that exist for a class of one image."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from src.feedback.class_gaussians import ClassGaussians, fit_gaussians
from src.runtime.errors import InputError


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
        own, freedom = (residuals, 80) if shrinkage == "tied" else (residuals[labels == k], (59, 19, 2)[k])
        covariance = ledoit_wolf(own, assume_centered=True)[0] * len(own) / freedom
        hardness = gaussians.hardness(None, torch.from_numpy(h), torch.full((len(h),), k))
        # The ridge of a millionth of the mean variance, for constant features, is all that differs.
        assert np.allclose(hardness, -multivariate_normal.logpdf(h, means[k], covariance), rtol=1e-4)
        exact = np.linalg.inv(gaussians.precision[k if shrinkage == "class" else 0].numpy())
        assert np.allclose(hardness, -multivariate_normal.logpdf(h, means[k], exact), rtol=1e-9)


@pytest.mark.parametrize("shrinkage", ["tied", "class"])
def test_variances_are_unbiased_however_many_classes_have_one_image(shrinkage: str) -> None:
    # Divided by the number of images, 40 classes of one beside a class of 20 made a variance of 1 one of .32.
    labels = np.repeat(np.arange(41 if shrinkage == "tied" else 1), [20, *[1] * (40 if shrinkage == "tied" else 0)])
    draws = [np.random.default_rng(seed).standard_normal((len(labels), 1)) for seed in range(400)]
    variances = [1 / float(fit_gaussians(x, labels, labels.max() + 1, shrinkage).precision[0]) for x in draws]
    assert np.mean(variances) == pytest.approx(1, abs=0.05)


def test_without_a_class_of_two_images_there_is_no_variance_to_speak_of() -> None:
    with pytest.raises(InputError, match=r"no class has two training images, from which .*; use another feedback"):
        fit_gaussians(np.eye(3), np.arange(3), 3, "tied")


def test_no_advice_to_choose_what_is_chosen_already() -> None:
    with pytest.raises(InputError, match=r"class 2 has 0 training images.*'tied'; use another feedback") as error:
        fit_gaussians(np.eye(3), np.array([0, 0, 1]), 3, "tied")
    assert "tied or" not in str(error.value)


def test_a_single_image_is_enough_for_a_tied_gaussian() -> None:
    features, labels = features_of([60, 1])
    gaussians = fit_gaussians(features, labels, 2, "tied")
    assert torch.equal(gaussians.mean[1], torch.from_numpy(features[-1]))
    with pytest.raises(InputError, match=r"class 1 has 1 training images.*use tied"):
        fit_gaussians(features, labels, 2, "class")


def one_table_for_each_class(
    features: np.ndarray, labels: np.ndarray, h: Tensor, shrinkage: str, dtype: torch.dtype
) -> Tensor:
    """Hardness of h (N, D), written down as the docstring has it, with as many covariances as classes."""
    classes = range(labels.max() + 1)
    mean = np.stack([features[labels == k].mean(0) for k in classes])
    residuals = features - mean[labels]
    own = [residuals if shrinkage == "tied" else residuals[labels == k] for k in classes]
    freedom = [len(labels) - len(classes)] * len(own) if shrinkage == "tied" else [len(part) - 1 for part in own]
    covariance = np.stack([
        ledoit_wolf(part, assume_centered=True)[0] * (len(part) / degrees)
        for part, degrees in zip(own, freedom, strict=True)
    ])  # fmt: skip
    dimensions = covariance.shape[1]
    covariance += 1e-6 * np.trace(covariance, axis1=1, axis2=2).mean() / dimensions * np.eye(dimensions)
    tables = (mean, np.linalg.inv(covariance), np.linalg.slogdet(covariance)[1])
    centre, precision, log_det = (torch.from_numpy(table).to(dtype)[labels] for table in tables)
    h = h.to(dtype) - centre
    return 0.5 * (torch.einsum("bi,bij,bj->b", h, precision, h) + log_det + dimensions * math.log(2 * math.pi))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shrinkage", ["tied", "class"])
def test_one_covariance_for_all_gives_what_a_copy_for_each_class_gives(shrinkage: str, dtype: torch.dtype) -> None:
    features, labels = features_of([60, 20, 3], dimensions=40)
    h = torch.from_numpy(features).flip(0)
    expected = one_table_for_each_class(features, labels, h, shrinkage, dtype)
    gaussians = fit_gaussians(features, labels, 3, shrinkage)
    near = gaussians.to(torch.device("cpu"), dtype)
    for found in (judge.hardness(None, h.to(dtype), torch.from_numpy(labels)) for judge in (gaussians, near)):
        assert torch.allclose(found, expected, rtol=100 * torch.finfo(dtype).eps, atol=0)


class Watch(TorchDispatchMode):
    """The largest tensor that was made, in numbers, and which number formats went into the operations."""

    def __init__(self) -> None:
        super().__init__()
        self.largest, self.formats = 0, set[torch.dtype]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.largest = max(self.largest, *(x.numel() for x in tree_leaves(out) if isinstance(x, Tensor)))
        self.formats |= {x.dtype for x in tree_leaves(args) if isinstance(x, Tensor)}
        return out


def watched(gaussians: ClassGaussians, h: Tensor, labels: Tensor) -> Watch:
    with Watch() as watch:
        gaussians.hardness(None, h, labels)
    return watch


def test_one_covariance_is_kept_once_and_no_call_makes_one_for_each_image() -> None:
    features, labels = features_of([3] * 50, dimensions=20)
    gaussians = fit_gaussians(features, labels, 50, "tied")
    assert [tuple(table.shape) for table in (gaussians.mean, gaussians.precision, gaussians.log_det)] == [
        (50, 20),
        (1, 20, 20),
        (1,),
    ]
    h, labels = torch.from_numpy(features[:30]).float(), torch.from_numpy(labels[:30])
    assert watched(gaussians, h, labels).largest <= 30 * 20
    assert watched(gaussians.to(h.device, h.dtype), h, labels).formats == {torch.float32, torch.int64}


def test_of_each_classs_own_covariances_a_call_converts_those_of_its_images() -> None:
    features, labels = features_of([3] * 50, dimensions=20)
    gaussians = fit_gaussians(features, labels, 50, "class")
    assert gaussians.to(torch.device("cpu"), torch.float32) is gaussians
    h, labels = torch.from_numpy(features[:2]).float(), torch.from_numpy(labels[:2])
    assert watched(gaussians, h, labels).largest <= 2 * 20 * 20


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
    with pytest.raises(InputError, match=r"class 2 has 0 training images"):
        fit_gaussians(features, labels, 3, "tied")
    with pytest.raises(InputError, match="class 1 has 1 training images"):
        fit_gaussians(features, labels, 3, "class")


def test_an_unknown_shrinkage_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown shrinkage 'diagonal'; choose one of: tied, class"):
        fit_gaussians(*features_of([9]), 1, "diagonal")
