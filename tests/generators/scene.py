"""A small plan over random real images with everything that a synthesiser needs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from src.classifiers.models import build
from src.feedback.classifier_criterion import Value, feedback_value
from src.feedback.guidance import Feedback
from src.generators.diffusion_model import DiffusionModel
from src.settings.sections import FeedbackSettings, GeneratorSettings
from src.shards.store import Shards
from src.synthesis.conditioning import Conditioning
from src.synthesis.plan import PlannedImage
from src.synthesis.prompts import Prompts
from src.synthesis.synthesiser import Synthesiser
from tests.feedback.settings import feedback_settings
from tests.generators.miniatures import SAMPLING
from tests.synthesis.plans import synthesis_plan

SETTINGS = GeneratorSettings(path="", **SAMPLING)
GUIDED = feedback_settings(scale=0.1)
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
        settings: GeneratorSettings = SETTINGS,
        feedback: FeedbackSettings | None = None,
        value: Value | None = None,
        plan: Sequence[PlannedImage] | None = None,
        conditioning: str = "text_image",
        image_dropout: float = 0.4,
        **more: Any,
    ) -> Synthesiser:
        """feedback: guides by `value`, the scene's own if there is none; a value alone judges the images."""
        plan, guide = plan or self.plan, None
        if feedback or value:
            feedback = feedback or feedback_settings(scale=0.0)
            guide = Feedback(value or self.value, feedback, self.generator.decoder(feedback.decoder))
        condition = Conditioning(
            self.generator, plan, conditioning, image_dropout, "mean", settings.noise_level, self.images
        )
        return Synthesiser(self.generator, settings, plan, condition, guide, **more)

    def of(self, generator: DiffusionModel) -> "Scene":
        """The same scene before another generator."""
        return replace(self, generator=generator)


def make_scene(generator: DiffusionModel, folder: Path) -> Scene:
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(12) % 3
    (folder / "three.yaml").write_text(PROMPTS)
    plan = synthesis_plan([4, 4, 4], 3, "add", 0, Prompts(folder / "three.yaml"), labels=labels)
    value = feedback_value(feedback_settings(), [build("small_cnn", 3, 32, 0)], images, labels, torch.device("cpu"))
    assert value is not None
    return Scene(generator, plan, images, labels, value)


def smooth_value(scene: Scene) -> Value:
    """The scene's entropy, of a classifier without kinks, at which rounding alone would turn a gradient."""
    classifier = build("small_cnn", 3, 32, 0)
    for parent in list(classifier.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU):
                setattr(parent, name, nn.SiLU())
            elif isinstance(child, nn.MaxPool2d):
                setattr(parent, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
    value = feedback_value(feedback_settings(), [classifier], scene.images, scene.labels, torch.device("cpu"))
    assert value is not None
    return value


def change(**what: Any) -> GeneratorSettings:
    """The scene's settings with some of them changed."""
    return replace(SETTINGS, **what)


def images_of(folder: Path) -> np.ndarray:
    return Shards(folder).images().astype(int)
