"""A small training for the tests of the arms: real and synthetic images, settings, a run of each arm, its batches."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from src.data.labelled_images import LabelledImages
from src.training import arms
from src.training.arms import Setting, train_guided, train_real, train_synaug

from .fakes import METHOD, RECIPE, RETRAIN, STAGES, SYNAUG, corners

COUNTS = [24, 12, 6, 2]  # real images of each class, all but two in context 0
MADE = 16  # synthetic ones of each class, half of them in each context


def everything(groups: bool = False) -> tuple[LabelledImages, np.ndarray]:
    """The real images, then the synthetic ones; and which are synthetic."""
    images, labels = corners(400, seed=0)
    real = np.concatenate([np.flatnonzero(labels == k)[:n] for k, n in enumerate(COUNTS)])
    synthetic = np.concatenate([np.flatnonzero(labels == k)[-MADE:] for k in range(4)])
    chosen = np.concatenate([real, synthetic])
    contexts = np.concatenate([np.isin(np.arange(len(real)), [0, 24]), np.arange(len(synthetic)) % 2])
    of_groups = labels[chosen] * 2 + contexts if groups else None
    return LabelledImages(images[chosen], labels[chosen], of_groups), np.arange(len(chosen)) >= len(real)


def real_part(data: LabelledImages) -> LabelledImages:
    count = sum(COUNTS)
    return LabelledImages(
        data.images[:count], data.labels[:count], None if data.groups is None else data.groups[:count]
    )


def setting(groups: bool = False, seed: int = 0, recipe: dict[str, Any] | None = None, **method: Any) -> Setting:
    images, labels = corners(16, seed=1)
    validation = LabelledImages(images, labels, labels * 2 + np.arange(16) // 4 % 2 if groups else None)
    real = real_part(everything(groups)[0])
    counts = np.bincount(real.groups, minlength=8).tolist() if real.groups is not None else None
    return Setting(
        replace(RECIPE, **(recipe or {})), replace(METHOD, **method), STAGES, validation, COUNTS, counts, seed,
        torch.device("cpu"),
    )  # fmt: skip


def run(arm: str, here: Setting, balance: str = "class", **retrain: Any) -> arms.Trained:
    """The arm by its name, on everything or on the real part of it."""
    data, synthetic = everything(here.group_counts is not None)
    if arm == "base":
        return train_real(here, real_part(data), None, "base")
    if arm == "guided":
        return train_guided(here, data, synthetic, replace(RETRAIN, **retrain), balance, None)
    return train_synaug(here, data, synthetic, replace(RETRAIN, **retrain), SYNAUG, balance, None)


ARMS = ("base", "guided", "synaug")
SYNTHETIC = ARMS[1:]


def batches(call: dict[str, Any], steps: int = 5) -> list[np.ndarray]:
    return [call["batches"].sampler(step) for step in range(steps)]


def same_batches(call: dict[str, Any], expected: Callable[[int], np.ndarray]) -> bool:
    return all(np.array_equal(batch, expected(step)) for step, batch in enumerate(batches(call)))
