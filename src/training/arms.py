"""How each arm is trained: real images alone, feedback-guided images in balanced batches, or SYNAuG's three steps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from src.scratch import Scratch
from src.seeds import derive
from src.training.last_layer import retrain_last_layer
from src.training.loop import fit
from src.training.losses import log_prior
from src.training.models import Classifier, build
from src.training.recipe import Recipe
from src.training.samplers import class_uniform, half_and_half, instance_uniform

Labelled = tuple[np.ndarray, np.ndarray]
Trained = tuple[Classifier, list[dict[str, Any]]]


def recipe_from(settings: Mapping[str, Any], **changes: Any) -> Recipe:
    """A training recipe from `train` of params.yaml, without the model's name."""
    return replace(Recipe(**{name: value for name, value in settings.items() if name != "model"}), **changes)


def last_layer_recipe(train: Mapping[str, Any], last_layer: Mapping[str, Any]) -> Recipe | None:
    """SYNAuG's third step: `train` of params.yaml with the changes of `synaug.last_layer`; None for zero steps."""
    return recipe_from(train, warmup=0, **last_layer) if last_layer["steps"] else None


def train_real(
    model: str, data: Labelled, validation: Labelled, counts: Sequence[int], recipe: Recipe, seed: int,
    device: torch.device, scratch: Scratch | None, describe: str,
) -> Trained:  # fmt: skip
    """Empirical risk on real images alone, every image equally often (the base and the reference classifier)."""
    images, labels = data
    network = build(model, len(counts), images.shape[1], derive("weights", seed)).to(device)
    sampler = instance_uniform(labels, recipe.batch, derive("batches", seed))
    return fit(
        network,
        images,
        labels,
        sampler,
        recipe,
        validation,
        log_prior(counts),
        derive("steps", seed),
        scratch,
        describe,
    )


def train_guided(
    model: str, data: Labelled, synthetic: np.ndarray, validation: Labelled, counts: Sequence[int], recipe: Recipe,
    fraction_real: float, seed: int, device: torch.device, scratch: Scratch | None,
) -> Trained:  # fmt: skip
    """Balanced mini-batches (arXiv 2310.00158): `fraction_real` of each batch real, classes uniform in both parts.

    data: all images, the real ones first; synthetic: bool (N,). counts: real training images per class.
    """
    images, labels = data
    network = build(model, len(counts), images.shape[1], derive("weights", seed)).to(device)
    sampler = half_and_half(labels[~synthetic], labels[synthetic], recipe.batch, fraction_real, derive("batches", seed))
    return fit(
        network, images, labels, sampler, recipe, validation, log_prior(counts), derive("steps", seed), scratch,
        "guided",
    )  # fmt: skip


def train_synaug(
    model: str, data: Labelled, synthetic: np.ndarray, validation: Labelled, counts: Sequence[int], recipe: Recipe,
    last_layer: Recipe | None, seed: int, device: torch.device, scratch: Scratch | None,
) -> Trained:  # fmt: skip
    """SYNAuG (arXiv 2308.00994): class-uniform union with Mixup or CutMix, then the last layer on real images."""
    images, labels = data
    network = build(model, len(counts), images.shape[1], derive("weights", seed)).to(device)
    sampler = class_uniform(labels, recipe.batch, derive("batches", seed))
    network, curve = fit(
        network, images, labels, sampler, recipe, validation, log_prior(counts), derive("steps", seed), scratch,
        "synaug",
    )  # fmt: skip
    real = ~synthetic
    if last_layer is not None:
        network = retrain_last_layer(network, images[real], labels[real], last_layer, derive("last layer", seed))
    return network, curve
