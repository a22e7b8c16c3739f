"""A network's features of many images, batch by batch."""

from collections.abc import Callable, Iterator

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


def feature_batches(
    extractor: Extractor, images: Images, dtype: torch.dtype, batch: int = 256, describe: str = "features"
) -> Iterator[np.ndarray]:
    """Yield the features of all images, in order, as arrays (at most `batch`, D), computed without gradients.

    images: uint8 (N, H, W, 3).
    """
    for start in tqdm(range(0, len(images), batch), describe, disable=not is_main(), leave=False, delay=2):
        with torch.inference_mode():
            features = extractor(to_tensor(images[start : start + batch]))
        yield features.to(dtype).cpu().numpy()


def extract(extractor: Extractor, images: Images, batch: int = 256) -> np.ndarray:
    """Return the features of all images, float64 (N, D), as `feature_batches`. ValueError if there are none."""
    if len(images) == 0:
        raise ValueError("there are no images to extract features from")
    return np.concatenate(list(feature_batches(extractor, images, torch.float64, batch)))
