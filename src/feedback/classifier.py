"""The classifier's side of feedback: decoded images in, a criterion's value per image out."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.data.images import to_tensor
from src.feedback.criteria import Criterion, criterion
from src.feedback.gaussians import fit_gaussians
from src.training.models import Classifier

Value = Callable[[Tensor, Tensor], Tensor]


def criterion_value(model: Classifier, measure: Criterion) -> Value:
    """`value(images (B, 3, H, W), labels (B,)) -> (B,)`: clamped to [-1, 1] and resized for the model.

    The clamp is what a stored image undergoes; its gradient is passed straight through where it binds.
    """
    edge = int(model.config["image_size"])

    def value(images: Tensor, labels: Tensor) -> Tensor:
        x = images + (images.clamp(-1, 1) - images).detach()
        if x.shape[-2:] != (edge, edge):
            x = F.interpolate(x, size=(edge, edge), mode="bilinear", antialias=True, align_corners=False)
        features = model.features(x)
        return measure(model.head(features), features, labels)

    return value


def feedback_value(
    name: str, model: Classifier, images: np.ndarray, labels: np.ndarray, shrinkage: str, device: torch.device
) -> Value | None:
    """The criterion `name` under the frozen `model`; None for "none". `hardness` fits its Gaussians to the
    real training images uint8 (N, H, W, 3) and labels (N,)."""
    model = model.to(device).eval().requires_grad_(False)
    gaussians = None
    if "hardness" in name:
        with torch.no_grad():
            features = torch.cat([model.features(x.to(device)).cpu() for x in to_tensor(images).split(512)])
        gaussians = fit_gaussians(features.double().numpy(), labels, int(model.config["classes"]), shrinkage)
    measure = criterion(name, gaussians)
    return None if measure is None else criterion_value(model, measure)
