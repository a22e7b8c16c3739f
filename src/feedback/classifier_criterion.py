"""The classifier's side of feedback: decoded images in, a criterion's value per image out."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from src.classifiers.features import classifier_features, extract
from src.classifiers.models import Classifier
from src.feedback.class_gaussians import fit_gaussians
from src.feedback.criteria import Criterion, criterion
from src.runtime.errors import InputError
from src.settings.sections import FeedbackSettings
from src.shards.lazy_images import Images
from src.shards.pixels import resized, to_tensor

Value = Callable[..., Tensor]


def rescaled(images: Tensor) -> Tensor:
    """Each image (B, 3, H, W) stretched to span [-1, 1], as the released code does; its range is held constant."""
    flat = images.detach().flatten(1)
    low, high = (v.reshape(-1, 1, 1, 1) for v in (flat.amin(1), flat.amax(1)))
    return (images - low) / (high - low).clamp_min(torch.finfo(images.dtype).tiny) * 2 - 1


def criterion_value(
    model: Classifier, measure: Criterion, rescale: bool = False, stored_size: int | None = None,
    others: Sequence[Classifier] = (), reference: Callable[[Tensor], Tensor] | None = None,
    reference_weight: float = 0.0,
) -> Value:  # fmt: skip
    """`value(images (B, 3, H, W), labels (B,)) -> (B,)` of the images as they would be stored, and then seen.

    But for rounding, whose jumps would make an image depend on the batch it is made in. The clamp's gradient is passed
    straight through. rescale: stretch every image to span [-1, 1]
    first. stored_size: pixels, None for what the model sees; of a larger image it sees the centre, as it does where it
    is judged. others: classifiers whose logits the measure gets too, stacked after the model's. reference: images to
    logits of one whose criterion, times `reference_weight`, is taken off: learnability (arXiv 2604.00519).
    """
    edge = stored_size or int(model.config["image_size"])

    def value(images: Tensor, labels: Tensor) -> Tensor:
        seen = resized(rescaled(images) if rescale else images, edge, rounded=False)
        features = model.features(seen)
        logits = model.head(features)
        if others:
            logits = torch.stack([logits, *(other.head(other.features(seen)) for other in others)])
        measured = measure(logits, features, labels)
        if reference is None:
            return measured
        return measured - reference_weight * measure(reference(seen), features, labels)

    return value


@torch.no_grad()
def values_of(
    value: Value, images: Images, labels: np.ndarray, device: torch.device, batch: int = 256
) -> np.ndarray:  # fmt: skip
    """The criterion (N,), float64, of stored images uint8 (N, H, W, 3) with these labels (N,)."""
    parts = [slice(i, i + batch) for i in range(0, len(labels), batch)]
    judged = [value(to_tensor(images[k]).to(device), torch.from_numpy(labels[k]).to(device)) for k in parts]
    return torch.cat(judged).double().cpu().numpy()


def feedback_value(
    feedback: FeedbackSettings, classifiers: Sequence[Classifier], images: Images, labels: np.ndarray,
    device: torch.device, reference: Callable[[Tensor], Tensor] | None = None,
) -> Value | None:  # fmt: skip
    """The criterion of a feedback preset under the first of the classifiers, frozen; `disagreement` asks all. None for
    "none". `hardness` fits its Gaussians to the real training images uint8 (N, H, W, 3) and labels (N,). reference: as
    in `criterion_value`; of a criterion of probabilities alone, and one classifier's."""
    asked = classifiers if "disagreement" in feedback.criterion else classifiers[:1]
    model, *others = (one.to(device).eval().requires_grad_(False) for one in asked)
    gaussians = None
    if "hardness" in feedback.criterion:
        features = extract(classifier_features(model), images, 512)
        fitted = fit_gaussians(features, labels, int(model.config["classes"]), feedback.shrinkage)
        gaussians = fitted.to(device, model.head.weight.dtype)
    measure = criterion(feedback.criterion, gaussians, 1 + len(others))
    if measure is None:
        return None
    if reference is not None and (others or gaussians is not None):
        raise InputError(
            f"reference_weight takes off what CLIP thinks of the same criterion, and '{feedback.criterion}' asks for "
            "more than one classifier's probabilities; set it to loss, entropy or margin, or reference_weight to 0"
        )
    return criterion_value(
        model, measure, feedback.rescale, images.shape[1], others, reference, feedback.reference_weight
    )
