"""The optimiser and the learning rate of every step, as a recipe asks for them.

Cosine decay: Loshchilov & Hutter (ICLR 2017); AdamW: Loshchilov & Hutter (ICLR 2019); warm-up, stable, decay: Hu et
al. (arXiv 2404.06395, section 4), with the shares of Deliberate Practice (Askari-Hemmat et al., arXiv 2502.15588).
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from src.runtime.choices import choose
from src.settings.recipe import Recipe
from src.training.augmentation import AUGMENTATIONS

PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}  # in accelerate's words


def check_choices(recipe: Recipe) -> None:
    """InputError for a name that is in none of OPTIMIZERS, SCHEDULES, AUGMENTATIONS and PRECISIONS."""
    for kind, table in TABLES.items():
        choose(kind, table, getattr(recipe, kind))


def learning_rate(recipe: Recipe, step: int) -> float:
    """Return the learning rate of the step, counted from 0, of a recipe in steps (`Recipe.in_steps`)."""
    if recipe.steps is None:
        raise ValueError("a recipe in epochs has no learning rate per step; use in_steps(n) first")
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    return recipe.lr * SCHEDULES[recipe.schedule](recipe, step, recipe.steps)


def set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, step: int) -> None:
    """Give all parameters of the optimiser the learning rate of the step."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(recipe, step)


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

# Of parameters; the learning rate is to be set at every step (`set_rate`).
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
