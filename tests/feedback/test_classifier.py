"""What the classifier is shown: the image as it will be stored, at the size it was trained on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from src.classifiers.models import Classifier, build
from src.feedback.class_gaussians import SHRINKAGES, ClassGaussians, fit_gaussians
from src.feedback.classifier_criterion import criterion_value, feedback_value
from src.feedback.criteria import criterion
from src.runtime.errors import InputError
from src.shards.pixels import resized, to_tensor, to_uint8
from tests.feedback.settings import feedback_settings

CPU = torch.device("cpu")
FEEDBACK = feedback_settings(criterion="loss")


def classifier() -> Classifier:
    return build("small_cnn", 3, 16, seed=0).eval().requires_grad_(False)


def pixels(size: int, count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_the_value_is_the_criterion_of_the_classifiers_logits() -> None:
    model, x, labels = classifier(), to_tensor(pixels(16)), torch.arange(6) % 3
    value = criterion_value(model, criterion("loss"))(x, labels)
    assert torch.allclose(value, F.cross_entropy(model(x), labels, reduction="none"))


def stored(x: torch.Tensor, size: int) -> torch.Tensor:
    """Images as the shards hold them, read again: through bytes, and Pillow where the size changes."""
    images = [Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC) for image in to_uint8(x)]
    return to_tensor(np.stack([np.asarray(image) for image in images]))


def test_other_sizes_are_judged_as_they_would_be_stored() -> None:
    # Resized bilinearly instead, a smooth photograph's loss was another than that of the image which training then saw.
    model, labels = classifier(), torch.arange(6) % 3
    x = to_tensor(to_uint8(F.interpolate(to_tensor(pixels(8)), size=(32, 32), mode="bicubic")))
    kept = stored(x, 16)
    assert (resized(x, 16) - kept).abs().max() < 2.1 / 127.5  # Pillow rounds between its two passes, too
    measured = criterion_value(model, criterion("loss"))(x, labels)
    assert torch.allclose(measured, F.cross_entropy(model(kept), labels, reduction="none"), rtol=0, atol=2e-3)
    assert torch.equal(resized(x, 16), to_tensor(to_uint8(resized(x, 16))))


def test_a_larger_stored_image_is_resized_to_its_stored_size_and_the_classifier_sees_its_centre() -> None:
    """As recipes that crop see it: stored at 24 pixels, of which the model, here of 16, sees the middle."""
    model, labels = classifier(), torch.arange(6) % 3
    x = to_tensor(pixels(48)).requires_grad_()
    value = criterion_value(model, criterion("loss"), stored_size=24)(x, labels)
    expected = F.cross_entropy(model(resized(x, 24, rounded=False)[:, :, 4:20, 4:20]), labels, reduction="none")
    assert torch.allclose(value, expected, rtol=0, atol=1e-6)
    assert not torch.allclose(value, criterion_value(model, criterion("loss"))(x, labels), rtol=0, atol=1e-4)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert gradient[:, :, 12:36, 12:36].any() and not gradient[:, :, :4].any()  # nothing flows from beyond the crop


@pytest.mark.parametrize("size", [16, 24])
def test_feedback_sees_images_at_the_size_of_the_real_ones(size: int) -> None:
    model, x, labels = classifier(), to_tensor(pixels(32)), torch.arange(6) % 3
    value = feedback_value(FEEDBACK, [model], pixels(size), np.arange(6) % 3, CPU)
    assert torch.equal(value(x, labels), criterion_value(model, criterion("loss"), stored_size=size)(x, labels))


def test_pixels_out_of_range_are_judged_as_stored_and_still_have_a_gradient() -> None:
    model, labels = classifier(), torch.arange(6) % 3
    x = (3 * to_tensor(pixels(16))).requires_grad_()
    stored = x.detach().clamp(-1, 1).requires_grad_()
    value = criterion_value(model, criterion("loss"))(x, labels)
    expected = F.cross_entropy(model(stored), labels, reduction="none")
    assert torch.allclose(value, expected)
    (found,) = torch.autograd.grad(value.sum(), x)
    (unclamped,) = torch.autograd.grad(expected.sum(), stored)
    assert torch.allclose(found, unclamped, rtol=1e-5, atol=1e-8) and found[x.abs() > 1].any()


@pytest.mark.parametrize("shrinkage", SHRINKAGES)
def test_hardness_is_fitted_to_all_real_images_under_their_labels(shrinkage: str) -> None:
    """Also to those beyond the 512 whose features are computed at once."""
    model, real = classifier(), pixels(16, 520)
    labels = np.random.default_rng(1).permutation(np.arange(520) % 3)
    features = torch.cat([model.features(to_tensor(real[part])) for part in (slice(512), slice(512, None))])
    fitted = fit_gaussians(features.double().numpy(), labels, 3, shrinkage)
    expected = criterion_value(model, criterion("hardness", fitted))
    found = feedback_value(replace(FEEDBACK, criterion="hardness", shrinkage=shrinkage), [model], real, labels, CPU)
    x, asked = to_tensor(pixels(16, 6)), torch.arange(6) % 3
    assert torch.allclose(found(x, asked), expected(x, asked), rtol=1e-5, atol=0)


def test_no_feedback_is_no_value_and_an_unknown_criterion_is_refused() -> None:
    real, labels = pixels(16, 12), np.arange(12) % 3
    assert feedback_value(replace(FEEDBACK, criterion="none"), [classifier()], real, labels, CPU) is None
    with pytest.raises(InputError, match="'boredom' is unknown"):
        feedback_value(replace(FEEDBACK, criterion="boredom"), [classifier()], real, labels, CPU)


def test_the_gaussians_are_where_the_classifier_is_before_the_first_image(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[tuple] = []
    original = ClassGaussians.to
    monkeypatch.setattr(ClassGaussians, "to", lambda self, *where: moved.append(where) or original(self, *where))
    value = feedback_value(replace(FEEDBACK, criterion="hardness"), [classifier()], pixels(16), np.arange(6) % 3, CPU)
    for _ in range(2):
        value(to_tensor(pixels(16)), torch.arange(6) % 3)
    assert moved == [(CPU, torch.float32)]


def test_a_rescaled_image_spans_the_range_and_its_own_range_has_no_gradient() -> None:
    model, labels = classifier(), torch.arange(6) % 3
    narrow = (0.3 * to_tensor(pixels(16)) + 0.2).requires_grad_()
    low, high = narrow.detach().amin((1, 2, 3), keepdim=True), narrow.detach().amax((1, 2, 3), keepdim=True)
    spanning = 2 * (narrow - low) / (high - low) - 1
    expected = F.cross_entropy(model(spanning), labels, reduction="none")
    value = feedback_value(replace(FEEDBACK, rescale=True), [model], pixels(16), np.arange(6) % 3, CPU)
    assert torch.allclose(value(narrow, labels), expected)
    (found,) = torch.autograd.grad(value(narrow, labels).sum(), narrow)
    (wanted,) = torch.autograd.grad(expected.sum(), narrow)
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-7)
    assert not torch.allclose(criterion_value(model, criterion("loss"))(narrow, labels), expected)
