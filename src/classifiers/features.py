"""A network's features of many images, batch by batch."""

from collections.abc import Callable

import numpy as np
import torch
from tqdm import tqdm

from src.classifiers.models import Classifier
from src.runtime.processes import is_main
from src.shards.lazy_images import Images
from src.shards.pixels import to_tensor

Extractor = Callable[[torch.Tensor], torch.Tensor]


def classifier_features(model: Classifier) -> Extractor:
    """Return (B, 3, H, W) in [-1, 1] -> penultimate features (B, D); puts the model in evaluation mode."""
    model.eval()
    return lambda x: model.features(x.to(model.head.weight.device))


def extract(extractor: Extractor, images: Images, batch: int = 256) -> np.ndarray:
    """Return the features of all images, in order, float64 (N, D), computed without gradients.

    images: uint8 (N, H, W, 3). ValueError if there are none.
    """
    if len(images) == 0:
        raise ValueError("there are no images to extract features from")
    starts = tqdm(range(0, len(images), batch), "features", disable=not is_main(), leave=False, delay=2)
    with torch.inference_mode():
        rows = [extractor(to_tensor(images[i : i + batch])).double().cpu().numpy() for i in starts]
    return np.concatenate(rows)
