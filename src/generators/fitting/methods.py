"""The fits of a generator to images, by name; what they made lies in data/fitted."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from src.generators import loading
from src.generators.diffusion_model import DiffusionModel
from src.generators.fitting.task import FitTask
from src.runtime.checkpoint_file import load_checkpoint, save_checkpoint
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.settings.sections import GeneratorSettings

FITTED, WEIGHTS = Path("data/fitted"), "weights.safetensors"
ADAPTING = {"lora": "lora", "textual_inversion": "textual_inversion"}  # modules here: `fit` and `apply` of each
ONE_STEP = ("vae", "gan")  # made of nothing but the images: no diffusion, no feedback


def run_fit(task: FitTask, load: Callable[[], DiffusionModel], out: Path) -> None:
    """Fit by the method of the task's settings, which continues where it was killed, and save what came out."""
    method = task.settings.method
    choose("fit of a generator", {**ADAPTING, **dict.fromkeys(ONE_STEP)}, method)
    if method in ADAPTING:
        tensors: dict[str, Tensor] = _module(method).fit(task, load)
    else:
        tensors = getattr(_module("class_conditional"), f"fit_{method}")(task, load)
    facts = {"method": method, "classes": len(task.names), "edge": task.images.shape[1]}
    save_checkpoint(out / WEIGHTS, tensors, facts)


def load_fitted(settings: GeneratorSettings, device: torch.device) -> DiffusionModel:
    """The generator of a preset, with what was fitted of it, if it asks for that."""
    generator = loading.load(settings, device)
    if settings.fit and settings.fit.method in ADAPTING:
        _module(settings.fit.method).apply(generator, _saved(settings.fit.method)[0])
    return generator


def one_step_network(settings: GeneratorSettings, device: torch.device) -> nn.Module | None:
    """The fitted VAE or GAN of a preset; None for one of diffusion."""
    if settings.fit is None or settings.fit.method not in ONE_STEP:
        return None
    tensors, facts = _saved(settings.fit.method)
    made = _module("class_conditional").network(settings.fit.method, facts["classes"], facts["edge"], tensors)
    return made.to(device)


def prompt_words(settings: GeneratorSettings, classes: int) -> list[str] | None:
    """What prompts call each class where the generator learnt words for them; None where they keep their names."""
    if settings.fit is None or settings.fit.method != "textual_inversion":
        return None
    return list(_module("textual_inversion").words_of(classes))


def _saved(method: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    saved = load_checkpoint(FITTED / WEIGHTS)
    if saved is None or saved[1].get("method") != method:
        raise InputError(f"{FITTED} holds no fit by {method}; run `dvc repro fit_generator`, which makes it")
    return saved


def _module(name: str) -> Any:
    """One of the modules here; not before it is needed, since peft takes a second."""
    return importlib.import_module(f"src.generators.fitting.{name}")
