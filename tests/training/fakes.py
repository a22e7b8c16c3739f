"""Images whose class a few steps can learn, a bright square in one of four corners; and settings to learn them with."""

from dataclasses import replace
from typing import Any

import numpy as np

from src.data.labelled_images import LabelledImages
from src.settings.recipe import Recipe
from src.settings.schema import build
from src.settings.sections import MethodSettings, RetrainSettings, SecondStages, SynaugSettings
from tests.micro import PARAMS

PRESET: dict[str, Any] = {
    "name": "corners", "model": "small_cnn", "weights": None, "image_size": 16, "selection": "macro", "epochs": None,
    "steps": 20, "batch": 8, "parts": 1, "optimizer": "adamw", "lr": 0.01, "momentum": 0.9, "nesterov": True,
    "weight_decay": 0.01, "schedule": "cosine", "milestones": [], "factors": [], "decay": 0.2, "warmup": 2,
    "label_smoothing": 0.0, "augment": "none", "ema": 0.0, "precision": "float32",
}  # fmt: skip
RECIPE = build(Recipe, PRESET, "recipes.corners")
SGD = replace(RECIPE, optimizer="sgd", lr=0.1, steps=40, warmup=0)
METHOD = build(
    MethodSettings,
    {
        **PARAMS["train"], "loss": "cross_entropy", "weighting": "none", "sampler": "instance", "mixing": "none",
        "second_stage": "none",
    },
    "train",
)  # fmt: skip
STAGES = build(SecondStages, PARAMS["second_stages"], "second_stages")
RETRAIN = RetrainSettings(length=1, fraction_real=0.5, second_stage="none", loss=None, mixing=None)
SYNAUG = build(
    SynaugSettings,
    {"mixing": "mixup", "mixing_alpha": 0.2, "last_layer": {"steps": 3, "batch": 4, "lr": 0.1}},
    "synaug",
)
NO_LAST_LAYER = replace(SYNAUG, last_layer=replace(SYNAUG.last_layer, steps=0))


def corners(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (count, 16, 16, 3) and labels 0..3 (count,)."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 100, (count, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(count) % 4
    for image, label in zip(images, labels, strict=True):
        image[8 * (label // 2) :, 8 * (label % 2) :][:8, :8] += 120
    return images, labels


def labelled_corners(count: int, seed: int) -> LabelledImages:
    return LabelledImages(*corners(count, seed))
