"""How a classifier is optimised: length, batch, optimiser, learning rate over time, augmentation, precision.

Cosine decay: Loshchilov & Hutter (ICLR 2017); AdamW: Loshchilov & Hutter (ICLR 2019); warm-up, stable, decay: Hu et
al. (arXiv 2404.06395, section 4), with the shares of Deliberate Practice (Askari-Hemmat et al., arXiv 2502.15588).
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.settings.checks import flag, number, whole
from src.training.augmentation import AUGMENTATIONS

PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}  # in accelerate's words


@dataclass(frozen=True)
class Recipe:
    """How to train; InputError on a setting that cannot work.

    epochs or steps: the length, exactly one of them; warmup and milestones count in the same unit. batch: images per
    optimiser step, on all processes together. parts: the batch is cut into so many equal ones, each with its own
    batch-norm statistics, done one after the other or by several processes. lr: the peak learning rate, reached after
    `warmup` linear steps. momentum, nesterov: SGD only. factors: what the peak is multiplied by from each milestone
    on (schedule step). decay: the last share of the length, along a cosine to zero (schedule warmup_stable_decay).
    label_smoothing, ema (decay of the averaged weights that are kept, 0 for none): in [0, 1). optimizer, schedule,
    augment, precision: names in OPTIMIZERS, SCHEDULES, AUGMENTATIONS and PRECISIONS.
    """

    batch: int
    optimizer: str
    lr: float
    weight_decay: float
    schedule: str
    epochs: float | None = None
    steps: int | None = None
    parts: int = 1
    momentum: float = 0.9
    nesterov: bool = True
    warmup: float = 0
    milestones: Sequence[float] = ()
    factors: Sequence[float] = ()
    decay: float = 0.2
    label_smoothing: float = 0.0
    augment: str = "none"
    ema: float = 0.0
    precision: str = "float32"

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise InputError("training: give the length either as epochs or as steps, and leave the other one empty")
        _check_types(self)
        for kind, table in TABLES.items():
            choose(kind, table, getattr(self, kind))
        for sentence, holds in _limits(self).items():
            if not holds:
                raise InputError(f"training: {sentence}, not {getattr(self, sentence.split()[0])}")
        # A list of params.yaml would make equal recipes differ from those with a tuple.
        object.__setattr__(self, "milestones", tuple(self.milestones))
        object.__setattr__(self, "factors", tuple(self.factors))

    def steps_for(self, n: int) -> int:
        """Return the optimiser steps for n images: an epoch has ceil(n / batch) of them."""
        return self.steps if self.steps is not None else max(1, self._in_steps(self.epochs or 0, n))

    def in_steps(self, n: int) -> "Recipe":
        """Return the same recipe with every length counted in optimiser steps, for n images."""
        if self.steps is not None:
            return self
        milestones = tuple(self._in_steps(milestone, n) for milestone in self.milestones)
        warmup = self._in_steps(self.warmup, n)
        return replace(self, epochs=None, steps=self.steps_for(n), warmup=warmup, milestones=milestones)

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of the step, counted from 0, of a recipe in steps (see `in_steps`)."""
        if self.steps is None:
            raise ValueError("a recipe in epochs has no learning rate per step; use in_steps(n) first")
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        return self.lr * SCHEDULES[self.schedule](self, step, self.steps)

    def make_optimizer(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser for the parameters; its learning rate is to be set at every step."""
        return OPTIMIZERS[self.optimizer](parameters, self)

    def _in_steps(self, epochs: float, n: int) -> int:
        return round(epochs * math.ceil(n / self.batch))


def _check_types(recipe: Recipe) -> None:
    in_epochs = recipe.steps is None
    lengths = [("epochs" if in_epochs else "steps", recipe.epochs if in_epochs else recipe.steps)]
    lengths += [("warmup", recipe.warmup), *(("milestones", milestone) for milestone in recipe.milestones)]
    for name, value in lengths:
        (number if in_epochs else whole)(f"training: {name}", value)
    for name in ("batch", "parts"):
        whole(f"training: {name}", getattr(recipe, name))
    for name in ("lr", "momentum", "weight_decay", "decay", "label_smoothing", "ema"):
        number(f"training: {name}", getattr(recipe, name))
    for factor in recipe.factors:
        number("training: factors", factor)
    flag("training: nesterov", recipe.nesterov)


def _limits(recipe: Recipe) -> dict[str, bool]:
    """What must hold, as sentences that begin with the setting's name."""
    length = recipe.epochs if recipe.steps is None else recipe.steps
    stable = recipe.schedule == "warmup_stable_decay"
    assert length is not None
    return {
        "epochs must be positive": recipe.epochs is None or recipe.epochs > 0,
        "steps must be at least 1": recipe.steps is None or recipe.steps >= 1,
        "batch must be at least 2, for batch normalisation": recipe.batch >= 2,
        "parts must be at least 1": recipe.parts >= 1,
        f"parts must divide the batch of {recipe.batch} images": recipe.batch % max(recipe.parts, 1) == 0,
        "parts must leave each part two images, for batch normalisation": recipe.batch >= 2 * recipe.parts,
        "lr must be positive": recipe.lr > 0,
        "lr must be below 1e30, for float32": recipe.lr < 1e30,
        "momentum must lie in [0, 1)": 0 <= recipe.momentum < 1,
        "weight_decay must not be negative": recipe.weight_decay >= 0,
        "warmup must lie in [0, steps], or [0, epochs]": 0 <= recipe.warmup <= length,
        "milestones must rise": list(recipe.milestones) == sorted(set(recipe.milestones)),
        "milestones must be given for the schedule step": recipe.schedule != "step" or len(recipe.milestones) > 0,
        "factors must be as many as milestones": len(recipe.factors) == len(recipe.milestones),
        "factors must not be negative": all(factor >= 0 for factor in recipe.factors),
        "decay must lie in (0, 1]": 0 < recipe.decay <= 1,
        "warmup must end before the decay begins": not stable or recipe.warmup <= (1 - recipe.decay) * length,
        "label_smoothing must lie in [0, 1)": 0 <= recipe.label_smoothing < 1,
        "ema must lie in [0, 1)": 0 <= recipe.ema < 1,
    }


def _cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))


def _warmup_stable_decay(recipe: Recipe, step: int, steps: int) -> float:
    start = (1 - recipe.decay) * steps
    return 1.0 if step < start else _cosine((step - start) / (steps - start))


# What the peak is multiplied by after the warm-up, at a step of so many.
SCHEDULES: dict[str, Callable[[Recipe, int, int], float]] = {
    "constant": lambda recipe, step, steps: 1.0,
    "cosine": lambda recipe, step, steps: _cosine((step - recipe.warmup) / (steps - recipe.warmup)),
    "step": lambda recipe, step, steps: (1.0, *recipe.factors)[bisect_right(recipe.milestones, step)],
    "warmup_stable_decay": _warmup_stable_decay,
}

OPTIMIZERS: dict[str, Callable[[Iterable[torch.nn.Parameter], Recipe], torch.optim.Optimizer]] = {
    "sgd": lambda parameters, recipe: torch.optim.SGD(
        parameters,
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov and recipe.momentum > 0,
    ),
    "adam": lambda parameters, recipe: torch.optim.Adam(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay),
    "adamw": lambda parameters, recipe: torch.optim.AdamW(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay),
}

TABLES: dict[str, Mapping[str, Any]] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "augment": AUGMENTATIONS,
    "precision": PRECISIONS,
}
