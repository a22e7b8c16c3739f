"""How a classifier is optimised: model, length, batch, optimiser, learning rate over time, augmentation, precision."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from src.runtime.errors import InputError
from src.settings.schema import Count, NotNegative, Section


@dataclass(frozen=True, kw_only=True)
class Recipe(Section):
    """A preset of `recipes`, as params.yaml says at recipes.digits; InputError on a setting that cannot work.

    image_size: None is as stored. lr: the peak, reached after a linear `warmup`. Choices by name are those of
    `src.training.optimisation` and its neighbours.
    """

    model: str
    batch: int
    optimizer: str
    lr: float
    weight_decay: NotNegative
    schedule: str
    augment: str
    precision: str
    selection: str
    parts: Count
    momentum: float
    nesterov: bool
    warmup: float
    milestones: tuple[float, ...]
    factors: tuple[NotNegative, ...]
    decay: float
    label_smoothing: float
    ema: float
    epochs: float | None
    steps: int | None
    weights: str | None
    image_size: Count | None
    name: str = ""

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise InputError("training: give the length either as epochs or as steps, and leave the other one empty")
        if self.steps is not None and not all(type(value) is int for value in (self.warmup, *self.milestones)):
            raise InputError("training: warmup and milestones of a recipe in steps must be whole numbers")
        for sentence, holds in self._limits().items():
            if not holds:
                raise InputError(f"training: {sentence}, not {getattr(self, sentence.split()[0])}")

    def steps_for(self, n: int) -> int:
        """Return the optimiser steps for n images: an epoch has ceil(n / batch) of them."""
        return self.steps if self.steps is not None else max(1, self._in_steps(self.epochs or 0, n))

    def in_steps(self, n: int) -> "Recipe":
        """Return the same recipe with every length counted in optimiser steps, for n images."""
        if self.steps is not None:
            return self
        steps = self.steps_for(n)
        return replace(self, epochs=None, steps=steps, **self._within(steps, lambda length: self._in_steps(length, n)))

    def longer(self, factor: float) -> "Recipe":
        """Return the same recipe with all that is counted in steps or epochs `factor` times as long."""
        if factor == 1:
            return self
        if self.steps is None:
            times = {name: factor * getattr(self, name) for name in ("epochs", "warmup")}
            return replace(self, **times, milestones=tuple(factor * milestone for milestone in self.milestones))
        steps = round(factor * self.steps)
        return replace(self, steps=steps, **self._within(steps, lambda length: round(factor * length)))

    def going_on(self, steps: int, schedule: str, **changes: Any) -> "Recipe":
        """Return the recipe of a later stage of so many steps: as it is but for the first one's course of the rate."""
        begun = replace(self, epochs=None, steps=steps, schedule=schedule, warmup=0, milestones=(), factors=())
        return replace(begun, **changes)

    def _within(self, steps: int, rounded: Callable[[float], int]) -> dict[str, Any]:
        """warmup and milestones in steps, as they are `rounded`, but so that they fit into so many: rounding may not
        make the warm-up end after the decay has begun, nor two milestones one."""
        last = steps * (1 - self.decay if self.schedule == "warmup_stable_decay" else 1)
        milestones: list[int] = []
        for milestone in map(rounded, self.milestones):
            milestones.append(max(milestone, milestones[-1] + 1) if milestones else milestone)
        return {"warmup": min(rounded(self.warmup), int(last)), "milestones": tuple(milestones)}

    def _in_steps(self, epochs: float, n: int) -> int:
        return round(epochs * math.ceil(n / self.batch))

    def _limits(self) -> dict[str, bool]:
        """What must hold, as sentences that begin with the setting's name."""
        length = self.epochs if self.steps is None else self.steps
        stable = self.schedule == "warmup_stable_decay"
        assert length is not None
        return {
            "epochs must be positive": self.epochs is None or self.epochs > 0,
            "steps must be at least 1": self.steps is None or self.steps >= 1,
            "batch must be at least 2, for batch normalisation": self.batch >= 2,
            f"parts must divide the batch of {self.batch} images": self.batch % max(self.parts, 1) == 0,
            "parts must leave each part two images, for batch normalisation": self.batch >= 2 * self.parts,
            "lr must be positive": self.lr > 0,
            "lr must be below 1e30, for float32": self.lr < 1e30,
            "momentum must lie in [0, 1)": 0 <= self.momentum < 1,
            "warmup must lie in [0, steps], or [0, epochs]": 0 <= self.warmup <= length,
            "milestones must rise": list(self.milestones) == sorted(set(self.milestones)),
            "milestones must be given for the schedule step": self.schedule != "step" or len(self.milestones) > 0,
            "factors must be as many as milestones": len(self.factors) == len(self.milestones),
            "decay must lie in (0, 1]": 0 < self.decay <= 1,
            "warmup must end before the decay begins": not stable or self.warmup <= (1 - self.decay) * length,
            "label_smoothing must lie in [0, 1)": 0 <= self.label_smoothing < 1,
            "ema must lie in [0, 1)": 0 <= self.ema < 1,
        }
