"""Training a classifier: deterministic in its seed, resumable, the weights that validate best are kept.

Everything random in a step is derived from (seed, step), so a resumed run repeats an uninterrupted one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from src.data.images import to_tensor
from src.errors import InputError
from src.evaluation.accuracy import macro_accuracy, predict
from src.parallel import is_main
from src.scratch import Scratch, load_checkpoint, save_checkpoint
from src.seeds import numpy_generator
from src.training.augment import AUGMENTATIONS
from src.training.losses import LOSSES
from src.training.mixing import MIXING
from src.training.models import Classifier
from src.training.recipe import Recipe
from src.training.samplers import Sampler

CHECKS = 10  # validations per run; also how often a checkpoint is written


def fit(
    model: Classifier,
    images: np.ndarray,
    labels: np.ndarray,
    sampler: Sampler,
    recipe: Recipe,
    validation: tuple[np.ndarray, np.ndarray],
    log_prior: torch.Tensor | None,
    seed: int,
    scratch: Scratch | None,
    describe: str,
) -> tuple[Classifier, list[dict[str, Any]]]:
    """Train `model` in place, where it lies, and return it with its learning curve.

    images: uint8 (N, H, W, 3). labels: (N,) integers. sampler: step -> indices into both. validation:
    images and labels that choose the weights by macro accuracy, the later of equals. log_prior: (C,) or None.
    scratch: where a checkpoint is kept, or None. describe: the progress bar's words.
    Curve rows: step, epoch (of N images), loss (mean since the last row), learning_rate, accuracy (macro).
    Raises InputError if the loss stops being finite.
    """
    optimizer = recipe.make_optimizer(model.parameters())
    run = _Run(model, optimizer, scratch.path / "training.safetensors" if scratch else None)
    prior = None if log_prior is None else log_prior.to(_device(model))
    interval = max(1, recipe.steps // CHECKS)
    losses: list[torch.Tensor] = []
    first = run.resume()
    bar = tqdm(total=recipe.steps, initial=first, desc=describe, disable=not is_main(), leave=False, mininterval=2)
    with bar, _deterministic():
        for step in range(first, recipe.steps):
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate(step)
            indices = sampler(step)
            generator = numpy_generator("train step", seed, step)
            losses.append(_step(model, optimizer, images[indices], labels[indices], recipe, prior, generator))
            bar.update()
            if (step + 1) % interval == 0 or step + 1 == recipe.steps:
                row = {
                    "step": step + 1,
                    "epoch": (step + 1) * recipe.batch / len(images),
                    "loss": torch.stack(losses).mean().item(),
                    "learning_rate": recipe.learning_rate(step),
                    "accuracy": macro_accuracy(predict(model, validation[0]), validation[1]),
                }
                if not np.isfinite(row["loss"]):
                    raise InputError(f"the loss is not finite at step {step + 1}; lower the learning rate")
                losses.clear()
                run.keep(row)
    return run.best(), run.curve


def _step(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    images: np.ndarray,
    labels: np.ndarray,
    recipe: Recipe,
    log_prior: torch.Tensor | None,
    generator: np.random.Generator,
) -> torch.Tensor:
    model.train()
    x = AUGMENTATIONS[recipe.augment](to_tensor(images).to(_device(model)), generator)
    targets = F.one_hot(torch.from_numpy(labels).long().to(x.device), model.head.out_features).float()  # (B, C)
    targets = (1 - recipe.label_smoothing) * targets + recipe.label_smoothing / targets.shape[1]
    x, targets = MIXING[recipe.mixing](x, targets, recipe.mixing_alpha, generator)
    loss = LOSSES[recipe.loss](model(x), targets, log_prior)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


class _Run:
    """What a training run must remember between two checkpoints."""

    def __init__(self, model: Classifier, optimizer: torch.optim.Optimizer, path: Path | None) -> None:
        self.model, self.optimizer, self.path = model, optimizer, path
        self.curve: list[dict[str, Any]] = []
        self.weights: dict[str, torch.Tensor] = {}

    def keep(self, row: dict[str, Any]) -> None:
        self.curve.append(row)
        if row["accuracy"] == max(earlier["accuracy"] for earlier in self.curve):
            self.weights = {name: value.clone() for name, value in self.model.state_dict().items()}
        if self.path:
            tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
            tensors |= {f"best/{name}": value for name, value in self.weights.items()}
            for i, slots in self.optimizer.state_dict()["state"].items():
                # SGD without momentum keeps a None.
                tensors |= {f"optimizer/{i}.{slot}": value for slot, value in slots.items() if value is not None}
            save_checkpoint(self.path, tensors, {"curve": self.curve})

    def resume(self) -> int:
        """Take up the checkpoint, if there is one; return the first step to do."""
        checkpoint = load_checkpoint(self.path) if self.path else None
        if checkpoint is None:
            return 0
        groups: dict[str, dict[str, torch.Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
        for name, value in checkpoint[0].items():
            group, key = name.split("/", 1)
            groups[group][key] = value
        slots: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in groups["optimizer"].items():
            index, slot = key.split(".", 1)
            slots.setdefault(int(index), {})[slot] = value
        self.model.load_state_dict(groups["model"])
        self.weights, self.curve = groups["best"], checkpoint[1]["curve"]
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": slots})
        return self.curve[-1]["step"]

    def best(self) -> Classifier:
        self.model.load_state_dict(self.weights)
        return self.model.eval()


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


@contextmanager
def _deterministic() -> Iterator[None]:
    """Choose deterministic algorithms where there are any, and restore the setting afterwards."""
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
