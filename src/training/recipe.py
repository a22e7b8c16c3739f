"""The settings of one training run, with the optimisers and schedules that they name.

Cosine decay: Loshchilov & Hutter (ICLR 2017); AdamW: Loshchilov & Hutter (ICLR 2019).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from src.checks import number, whole
from src.errors import InputError
from src.training.augment import AUGMENTATIONS
from src.training.losses import LOSSES
from src.training.mixing import MIXING
from src.training.named import named


@dataclass(frozen=True)
class Recipe:
    """How to train; InputError on a setting that cannot work.

    steps, warmup: optimiser steps. batch: images per step. lr: the peak learning rate, reached after
    `warmup` linear steps. momentum: SGD only. mixing_alpha: of Beta(alpha, alpha). label_smoothing: in
    [0, 1). optimizer, schedule, loss, mixing, augment: names in OPTIMIZERS, SCHEDULES, LOSSES, MIXING and
    AUGMENTATIONS.
    """

    steps: int
    batch: int
    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    schedule: str
    warmup: int
    loss: str
    label_smoothing: float
    mixing: str
    mixing_alpha: float
    augment: str

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "warmup"):
            whole(f"training: {name}", getattr(self, name))
        for name in ("lr", "momentum", "weight_decay", "label_smoothing", "mixing_alpha"):
            number(f"training: {name}", getattr(self, name))
        named("optimizer", OPTIMIZERS, self.optimizer)
        named("schedule", SCHEDULES, self.schedule)
        named("loss", LOSSES, self.loss)
        named("mixing", MIXING, self.mixing)
        named("augment", AUGMENTATIONS, self.augment)
        limits = {
            "steps must be at least 1": self.steps >= 1,
            "batch must be at least 2, for batch normalisation": self.batch >= 2,
            "lr must be positive": self.lr > 0,
            "momentum must lie in [0, 1)": 0 <= self.momentum < 1,
            "weight_decay must not be negative": self.weight_decay >= 0,
            "warmup must lie in [0, steps]": 0 <= self.warmup <= self.steps,
            "label_smoothing must lie in [0, 1)": 0 <= self.label_smoothing < 1,
            "mixing_alpha must be positive": self.mixing_alpha > 0,
        }
        for sentence, holds in limits.items():
            if not holds:
                raise InputError(f"training: {sentence}, not {getattr(self, sentence.split()[0])}")

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of the step, counted from 0."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        return self.lr * SCHEDULES[self.schedule]((step - self.warmup) / (self.steps - self.warmup))

    def make_optimizer(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser for the parameters; its learning rate is to be set at every step."""
        return OPTIMIZERS[self.optimizer](parameters, self)


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
}

OPTIMIZERS: dict[str, Callable[[Iterable[torch.nn.Parameter], Recipe], torch.optim.Optimizer]] = {
    "sgd": lambda parameters, recipe: torch.optim.SGD(
        parameters,
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
    ),
    "adamw": lambda parameters, recipe: torch.optim.AdamW(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay),
}
