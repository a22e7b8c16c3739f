"""A small plan over random real images with everything that a synthesiser needs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from src.classifiers.models import build
from src.feedback.classifier_criterion import Value, feedback_value
from src.feedback.guidance import Schedule
from src.generators.diffusion_model import DiffusionModel
from src.shards.store import Shards
from src.synthesis.plan import PlannedImage, synthesis_plan
from src.synthesis.prompts import Prompts
from src.synthesis.synthesiser import SamplingSettings, Synthesiser

SETTINGS = SamplingSettings(
    scheduler="ddim", steps=4, guidance_scale=3.0, noise_level=0, conditioning="text_image", image_dropout=0.4
)
GUIDED = Schedule(0.1, 1, 0, None, "latent")
PROMPTS = """template: a photo of a {class}
modified: a photo of a {modifier} {class}
classes: {zero: [bold], one: [thin], two: [small]}
"""


@dataclass(frozen=True)
class Scene:
    """plan: 9 images of 3 classes; images uint8 (12, 32, 32, 3) and labels (12,) to condition on; value: an entropy."""

    generator: DiffusionModel
    plan: list[PlannedImage]
    images: np.ndarray
    labels: np.ndarray
    value: Value

    def synthesiser(
        self,
        settings: SamplingSettings = SETTINGS,
        schedule: Schedule | None = None,
        value: Value | None = None,
        plan: Sequence[PlannedImage] | None = None,
        **more: Any,
    ) -> Synthesiser:
        judge = (value or self.value) if schedule else value
        return Synthesiser(self.generator, settings, plan or self.plan, self.images, judge, schedule, **more)

    def of(self, generator: DiffusionModel) -> "Scene":
        """The same scene before another generator."""
        return replace(self, generator=generator)


def make_scene(generator: DiffusionModel, folder: Path) -> Scene:
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(12) % 3
    (folder / "three.yaml").write_text(PROMPTS)
    plan = synthesis_plan([4, 4, 4], 3, "add", 0, Prompts(folder / "three.yaml"), labels=labels)
    feedback = {"criterion": "entropy", "shrinkage": "tied", "rescale": False}
    value = feedback_value(feedback, build("small_cnn", 3, 32, 0), images, labels, torch.device("cpu"))
    assert value is not None
    return Scene(generator, plan, images, labels, value)


def change(**what: object) -> SamplingSettings:
    """The scene's settings with some of them changed."""
    return SamplingSettings(**{**vars(SETTINGS), **what})


def images_of(folder: Path) -> np.ndarray:
    return Shards(folder).images().astype(int)
