"""A fit to twelve images of three classes, one plain colour each, with a little noise."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from src.generators.fitting.task import FitTask
from src.generators.fitting.textual_inversion import words_of
from src.settings.schema import build
from src.settings.sections import FitSettings

CPU = torch.device("cpu")
LABELS = np.repeat([0, 1, 2], [8, 3, 1])
NAMES = ("zero", "one", "two")
COLOURS = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])


def coloured(edge: int = 32) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 8, (len(LABELS), edge, edge, 3))
    return (COLOURS[LABELS][:, None, None] + noise).clip(0, 255).astype(np.uint8)


def task(folder: Path, method: str, **settings: Any) -> FitTask:
    given = {"method": method, "steps": 12, "batch": 6, "lr": 0.01, **settings}
    return FitTask(
        build(FitSettings, given, "generators.x.fit"), coloured(), LABELS, NAMES,
        tuple(f"a photo of a {name}" for name in NAMES), tuple(f"a photo of a {word}" for word in words_of(3)), 0,
        folder / "fit.safetensors", CPU,
    )  # fmt: skip
