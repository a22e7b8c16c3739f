"""The distilled decoder: it draws what its teacher draws the more, the longer it learns, and loads as a preset's."""

from pathlib import Path
from typing import Any

import torch

from src.generators.tiny.decoder import train_decoder
from src.generators.tiny.glyphs import render
from src.generators.tiny.networks import encode_latents
from src.runtime.seeds import numpy_generator
from src.settings.sections import PoseRange, TinyDecoderSettings
from tests.generators.miniatures import Preset, load

POSE = PoseRange(rotation=22, scale_min=0.68, scale_max=1.08, shift=3.2, shear=6)


def settings(**changes: Any) -> TinyDecoderSettings:
    values = {"seed": 0, "images": 32, "width": 8, "noise": 0.1, "steps": 1, "batch": 8, "lr": 0.01}
    return TinyDecoderSettings(**{**values, **changes})


def test_a_longer_training_draws_nearer_to_the_teacher(presets: dict[str, Preset], tmp_path: Path) -> None:
    folder, cpu = Path(presets["unclip"]["path"]), torch.device("cpu")
    distances = []
    for steps in (1, 60):
        scratch = tmp_path / str(steps)
        scratch.mkdir()
        train_decoder(settings(steps=steps), POSE, folder / "vae", scratch)
        model = load({**presets["unclip"], "tiny_decoder": str(scratch / "decoder")}, cpu)
        vae = model.pipeline.vae
        latents = encode_latents(vae, render(16, POSE, numpy_generator("test")), cpu) * vae.config.scaling_factor
        distances.append((model.decoder("tiny")(latents) - model.decode(latents)).abs().mean())
    assert distances[1] < 0.7 * distances[0]
