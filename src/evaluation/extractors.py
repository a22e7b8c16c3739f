"""The spaces in which images may be compared, each under its name in `evaluation.features` of params.yaml.

A network is useful only with the images it was made for: each function names the size, the resampling and the
normalisation, and whose they are. All take images in [-1, 1] and load safetensors, or weights alone, from local files
or at a pinned revision; none runs remote code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from src.classifiers.architectures import STATISTICS
from src.classifiers.features import Extractor, classifier_features
from src.classifiers.models import Classifier, load
from src.classifiers.published_network import CLIP_MEAN, CLIP_STD, published_network
from src.evaluation.inception import inception
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.settings.sections import EvaluationSettings, WeightsSettings
from src.shards.pixels import prepared

SHIPPED = "feature_space"  # folder beside the generator's weights
DINOV2_SIDE = 224  # 16 x 16 patches; also the size at which Stein et al. compare


@dataclass(frozen=True)
class Sources:
    """What extractors are made from: where published weights lie, and the networks that are at hand anyway.

    generator: loads the generator, when its CLIP tower is asked for. generator_folder: its path in params.yaml.
    """

    settings: EvaluationSettings
    device: torch.device
    reference: Classifier
    generator: Callable[[], Any]
    generator_folder: Path


def default_spaces(sources: Sources) -> tuple[str, ...]:
    """The spaces where `evaluation.features` names none; the first is the headline's.

    It must be the same network for every seed, arm and machine, or distances of two runs lie in two spaces, and it must
    not have guided. For the shipped generator that is the classifier of rendered glyphs beside it. Others bring a CLIP
    tower, unless they take text alone: it conditions the images, which flatters those that follow an image, so that
    DINOv2, as Stein et al. (NeurIPS 2023) recommend, is the better one where its weights can be had.
    """
    if (sources.generator_folder / SHIPPED).exists():
        return "shipped", "clip"
    return ("clip",) if sources.generator().takes_image else ("dinov2",)


def extractor(name: str, sources: Sources) -> Extractor:
    """Return (B, 3, H, W) in [-1, 1] -> features (B, D), float32 and on any device, for inference.

    name: one of EXTRACTORS. InputError for another, and for weights that are missing, damaged, or of another kind.
    """
    return choose("feature space", EXTRACTORS, name)(sources)


def _shipped(sources: Sources) -> Extractor:
    """The penultimate layer of the classifier that lies beside the generator; it has seen what the generator has."""
    folder = sources.generator_folder / SHIPPED
    if not folder.exists():
        raise InputError(
            f"no feature space lies in {folder}, which evaluation.features asks for as 'shipped'; take another, "
            "such as 'dinov2', or leave evaluation.features empty"
        )
    return classifier_features(load(folder).to(sources.device))


def _generator_clip(sources: Sources) -> Extractor:
    """The CLIP tower that conditions the generator; images as the generator prepares them."""
    generator = sources.generator()
    if not generator.takes_image:
        raise InputError(
            "this generator has no CLIP tower, which evaluation.features asks for as 'clip'; take another space, such "
            "as 'openai_clip', or another generator"
        )
    return generator.embed


def _openai_clip(sources: Sources) -> Extractor:
    """The image tower and projection of a published CLIP, images as in its paper: bicubic to the tower's side."""
    from transformers import CLIPVisionModelWithProjection

    model = _pretrained(CLIPVisionModelWithProjection, "openai_clip", "clip", sources)
    side = int(model.config.image_size)
    return lambda x: model(pixel_values=prepared(x, model.device, side, CLIP_MEAN, CLIP_STD)).image_embeds


def _dinov2(sources: Sources) -> Extractor:
    """DINOv2's class token after the last normalisation (Oquab et al., 2023).

    Images as in the comparison of metrics that recommends it (Stein et al., NeurIPS 2023): bicubic to 224 pixels,
    ImageNet's normalisation.
    """
    from transformers import AutoModel

    model = _pretrained(AutoModel, "dinov2", "dinov2", sources)
    mean, std = STATISTICS["imagenet"]
    return lambda x: model(pixel_values=prepared(x, model.device, DINOV2_SIDE, mean, std)).last_hidden_state[:, 0]


EXTRACTORS: dict[str, Callable[[Sources], Extractor]] = {
    "shipped": _shipped,
    # The penultimate layer of the classifier that was trained on all real images; images at their own size.
    "reference_classifier": lambda sources: classifier_features(sources.reference),
    "clip": _generator_clip,
    "openai_clip": _openai_clip,
    "inception": lambda sources: inception(_weights(sources, "inception")[0], sources.device),
    "dinov2": _dinov2,
}


def _weights(sources: Sources, name: str) -> tuple[str, str | None]:
    """The path under `evaluation.<name>`, and its revision if that says one."""
    weights: WeightsSettings | None = getattr(sources.settings, name)
    if weights is None or not weights.path:
        raise InputError(f"evaluation.{name}.path says nothing; name the weights there in params.yaml")
    return weights.path, weights.revision


def _pretrained(kind: Any, name: str, model_type: str, sources: Sources) -> Any:
    """The network of transformers that `evaluation.<name>` names, for inference."""
    return published_network(kind, f"evaluation.{name}", model_type, *_weights(sources, name), sources.device)
