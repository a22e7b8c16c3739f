"""The spaces in which images are compared: a classifier's features, or the embeddings of CLIP's tower."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from src.data.images import to_tensor
from src.parallel import is_main
from src.training.models import Classifier

if TYPE_CHECKING:  # seconds of import that classifiers need not pay
    from transformers import CLIPVisionModelWithProjection

Extractor = Callable[[torch.Tensor], torch.Tensor]

# The normalisation of the published CLIP models (Radford et al., ICML 2021), per channel in [0, 1].
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def classifier_features(model: Classifier) -> Extractor:
    """Return (B, 3, H, W) in [-1, 1] -> penultimate features (B, D); puts the model in evaluation mode."""
    model.eval()
    return lambda x: model.features(x.to(model.head.weight.device))


def clip_features(
    model: "CLIPVisionModelWithProjection", mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD
) -> Extractor:
    """Return (B, 3, H, W) in [-1, 1] -> image embeddings (B, D), not normalised to unit length.

    Images are resized (bicubic, antialiased) to the side the model was made for. mean, std: per channel,
    for images in [0, 1]. Puts the model in evaluation mode.
    """
    model.eval()
    device, side = model.device, cast(int, model.config.image_size)
    centre = torch.tensor(mean, device=device).view(3, 1, 1)
    spread = torch.tensor(std, device=device).view(3, 1, 1)

    def embed(x: torch.Tensor) -> torch.Tensor:
        x = x.to(device)
        if x.shape[-2:] != (side, side):
            x = F.interpolate(x, [side, side], mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)
        return model(pixel_values=((x + 1) / 2 - centre) / spread).image_embeds

    return embed


def extract(extractor: Extractor, images: np.ndarray, batch: int = 256) -> np.ndarray:
    """Return the features of all images, in order, float64 (N, D), computed without gradients.

    images: uint8 (N, H, W, 3). ValueError if there are none.
    """
    if len(images) == 0:
        raise ValueError("there are no images to extract features from")
    starts = tqdm(range(0, len(images), batch), "features", disable=not is_main(), leave=False, delay=2)
    with torch.inference_mode():
        rows = [extractor(to_tensor(images[i : i + batch])).double().cpu().numpy() for i in starts]
    return np.concatenate(rows)
