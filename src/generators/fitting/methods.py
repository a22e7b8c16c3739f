"""The fits of a generator to images, by name; what they made lies in data/fitted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from src.generators import loading
from src.generators.diffusion_model import DiffusionModel
from src.generators.fitting import class_conditional, textual_inversion
from src.generators.fitting.task import Fit, FitTask
from src.runtime.checkpoint_file import load_checkpoint, save_checkpoint
from src.runtime.errors import InputError
from src.runtime.seeds import deterministic
from src.settings.sections import GeneratorSettings

FITTED, WEIGHTS = Path("data/fitted"), "weights.safetensors"


def run_fit(task: FitTask, load: Callable[[], DiffusionModel], out: Path) -> None:
    """Fit by the method of the task's settings, which continues where it was killed, and save what came out."""
    method = task.settings.method
    with deterministic():
        tensors = _methods()[method][0](task, load)
    facts = {"method": method, "classes": task.classes, "edge": task.images.shape[1]}
    save_checkpoint(out / WEIGHTS, tensors, facts)


def load_fitted(settings: GeneratorSettings, device: torch.device) -> DiffusionModel:
    """The generator of a preset, with what was fitted of it, if it asks for that."""
    generator = loading.load(settings, device)
    if settings.fit and not settings.fit.one_step:
        _methods()[settings.fit.method][1](generator, _saved(settings.fit.method)[0])
    return generator


def one_step_network(settings: GeneratorSettings, device: torch.device) -> nn.Module | None:
    """The fitted VAE or GAN of a preset; None for one of diffusion."""
    if settings.fit is None or not settings.fit.one_step:
        return None
    tensors, facts = _saved(settings.fit.method)
    return class_conditional.network(settings.fit.method, facts["classes"], facts["edge"], tensors).to(device)


def _saved(method: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    saved = load_checkpoint(FITTED / WEIGHTS)
    if saved is None or saved[1].get("method") != method:
        raise InputError(f"{FITTED} holds no fit by {method}; run `dvc repro fit_generator`, which makes it")
    return saved


def _methods() -> dict[str, tuple[Fit, Any]]:
    """How each fits and, if to a generator of diffusion, how what was fitted is applied."""
    from src.generators.fitting import lora  # peft takes a second

    return {
        "lora": (lora.fit, lora.apply),
        "textual_inversion": (textual_inversion.fit, textual_inversion.apply),
        "vae": (class_conditional.fit_vae, None),
        "gan": (class_conditional.fit_gan, None),
    }
