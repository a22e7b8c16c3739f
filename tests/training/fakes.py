"""Images whose class a few steps can learn: a bright square in one of four corners."""

import numpy as np

from src.training.recipe import Recipe

RECIPE = Recipe(
    steps=20,
    batch=8,
    optimizer="adamw",
    lr=0.01,
    momentum=0.9,
    weight_decay=0.01,
    schedule="cosine",
    warmup=2,
    label_smoothing=0.0,
    augment="none",
)


def corners(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (count, 16, 16, 3) and labels 0..3 (count,)."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 100, (count, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(count) % 4
    for image, label in zip(images, labels, strict=True):
        image[8 * (label // 2) :, 8 * (label % 2) :][:8, :8] += 120
    return images, labels
