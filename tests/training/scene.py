"""A small training for the tests of the arms: real and synthetic images, settings, a run of each arm, its batches."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import yaml

from src.data.labelled_images import LabelledImages
from src.training import arms
from src.training.arms import Setting, train_guided, train_real, train_synaug
from src.versions.import_closure import ROOT

from .fakes import RECIPE, corners

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
METHOD: dict[str, Any] = {
    **PARAMS["train"], "loss": "cross_entropy", "weighting": "none", "sampler": "instance", "mixing": "none",
    "second_stage": "none",
}  # fmt: skip
STAGES: dict[str, Any] = PARAMS["second_stages"]
RETRAIN = {"fraction_real": 0.5, "second_stage": "none", "loss": None, "mixing": None}
NO_LAST = {"mixing": "mixup", "mixing_alpha": 0.2, "last_layer": {"steps": 0, "batch": 4, "lr": 0.1}}
LAST = {**NO_LAST, "last_layer": {"steps": 3, "batch": 4, "lr": 0.1}}
PRESET: dict[str, Any] = {
    "name": "corners", "model": "small_cnn", "weights": None, "image_size": 16, "selection": "macro", **asdict(RECIPE)
}  # fmt: skip
COUNTS = [24, 12, 6, 2]  # real images of each class, all but two in context 0
MADE = 16  # synthetic ones of each class, half of them in each context


def everything(groups: bool = False) -> tuple[LabelledImages, np.ndarray]:
    """The real images, then the synthetic ones; and which are synthetic."""
    images, labels = corners(400, seed=0)
    real = np.concatenate([np.flatnonzero(labels == k)[:n] for k, n in enumerate(COUNTS)])
    made = np.concatenate([np.flatnonzero(labels == k)[-MADE:] for k in range(4)])
    chosen = np.concatenate([real, made])
    contexts = np.concatenate([np.isin(np.arange(len(real)), [0, 24]), np.arange(len(made)) % 2])
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
        {**PRESET, **(recipe or {})}, {**METHOD, **method}, STAGES, validation, COUNTS, counts, seed,
        torch.device("cpu"),
    )  # fmt: skip


def run(arm: str, here: Setting, balance: str = "class", **retrain: Any) -> arms.Trained:
    """The arm by its name, on everything or on the real part of it."""
    data, synthetic = everything(here.group_counts is not None)
    if arm == "base":
        return train_real(here, real_part(data), here.method, None, "base")
    if arm == "guided":
        return train_guided(here, data, synthetic, {**RETRAIN, **retrain}, balance, None)
    return train_synaug(here, data, synthetic, {**RETRAIN, **retrain}, LAST, balance, None)


ARMS = ("base", "guided", "synaug")
SYNTHETIC = ARMS[1:]


def batches(call: dict[str, Any], steps: int = 5) -> list[np.ndarray]:
    return [call["sampler"](step) for step in range(steps)]


def same_batches(call: dict[str, Any], expected: Callable[[int], np.ndarray]) -> bool:
    return all(np.array_equal(batch, expected(step)) for step, batch in enumerate(batches(call)))
