"""What CLIP reads in an image without having seen the data: class probabilities by text (Radford et al., ICML 2021)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.classifiers.published_network import CLIP_MEAN, CLIP_STD, published_network
from src.runtime.errors import InputError
from src.settings.sections import WeightsSettings
from src.shards.lazy_images import Images
from src.shards.pixels import prepared, resized, to_tensor

SCALES = tuple(2.0**k for k in range(8))  # of the logits, from cosines; CLIP's own is 100


class Clip(Protocol):
    """Both towers of a CLIP. The shipped generator is one."""

    def embed(self, x: Tensor, rounded: bool = True) -> Tensor:
        """Embeddings (B, D) of images (B, 3, H, W) in [-1, 1]; differentiable. rounded: as in `resized`."""

    def text_embeddings(self, prompts: Sequence[str]) -> Tensor:
        """Embeddings (P, D) of prompts, in the same space."""


class PublishedClip:
    """A CLIP of transformers, images bicubic to its side and normalised as in its paper."""

    def __init__(self, setting: str, weights: WeightsSettings, device: torch.device) -> None:
        """setting: the name of what names it. InputError if it cannot be loaded."""
        from transformers import CLIPModel, CLIPTokenizer

        path, revision = str(Path(weights.path or "").expanduser()), weights.revision
        self.model = published_network(CLIPModel, setting, "clip", path, revision, device).requires_grad_(False)
        try:
            self.tokenizer = CLIPTokenizer.from_pretrained(path, revision=revision)
        except Exception as error:  # the library raises many kinds
            raise InputError(f"{setting} '{path}' comes without a CLIP tokenizer; fetch all of its files") from error

    def embed(self, x: Tensor, rounded: bool = True) -> Tensor:
        """Embeddings (B, D) of images (B, 3, H, W) in [-1, 1]; differentiable. rounded: as in `resized`."""
        side = int(self.model.config.vision_config.image_size)
        pixels = prepared(x, self.model.device, side, CLIP_MEAN, CLIP_STD, rounded)
        return self.model.visual_projection(self.model.vision_model(pixel_values=pixels).pooler_output)

    @torch.no_grad()
    def text_embeddings(self, prompts: Sequence[str]) -> Tensor:
        """Embeddings (P, D) of prompts."""
        tokens = self.tokenizer(list(prompts), padding=True, truncation=True, return_tensors="pt").to(self.model.device)
        return self.model.text_projection(self.model.text_model(**tokens).pooler_output)


@torch.no_grad()
def _cosines(clip: Clip, images: Images, texts: Tensor) -> Tensor:
    """Of images uint8 (N, H, W, 3) to unit text embeddings (C, D): (N, C), float64."""
    batches = (to_tensor(images[i : i + 256]) for i in range(0, len(images), 256))
    return torch.cat([(F.normalize(clip.embed(x), dim=1) @ texts.T).double().cpu() for x in batches])


def zero_shot_logits(
    clip: Clip, prompts: Sequence[str], images: Images, labels: np.ndarray
) -> Callable[[Tensor], Tensor]:
    """`logits(images (B, 3, H, W)) -> (B, C)`, differentiable; one prompt for each class.

    Of SCALES of the cosines the one is taken that is likeliest on the real training images, uint8 (N, H, W, 3) and
    labels (N,), every class counting alike.
    """
    texts = F.normalize(clip.text_embeddings(prompts), dim=1)  # (C, D)
    cosines, truth, size = _cosines(clip, images, texts), torch.from_numpy(labels), images.shape[1]
    weight = (1 / torch.bincount(truth, minlength=len(prompts)).double())[truth]
    losses = [float(weight @ F.cross_entropy(scale * cosines, truth, reduction="none")) for scale in SCALES]
    scale = SCALES[int(np.argmin(losses))]
    return lambda x: scale * F.normalize(clip.embed(resized(x, size, rounded=False), rounded=False), dim=1) @ texts.T
