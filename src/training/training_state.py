"""What a training must remember: to go on after an interruption as if there had been none, and its best weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from src.runtime.checkpoint_file import load_checkpoint, save_checkpoint


@dataclass
class TrainingState:
    """A training's state and its curve. average: of the model's weights, which are then what is judged and kept.

    scaler: of float16, or None. path: the checkpoint, if there is one. writes: whether this process does so, not only
    reads it. weights: the best so far.
    """

    model: nn.Module
    average: AveragedModel | None
    objective: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: Any
    path: Path | None
    writes: bool = True
    curve: list[dict[str, Any]] = field(default_factory=list, init=False)
    weights: Mapping[str, torch.Tensor] = field(default_factory=dict, init=False)

    @property
    def judged(self) -> nn.Module:
        """The model whose accuracy counts."""
        return self.model if self.average is None else self.average.module

    def keep(self, row: dict[str, Any], by: str) -> None:
        """Add a row to the curve, keep the weights if no earlier row[by] is higher, write the checkpoint."""
        self.curve.append(row)
        if row[by] == max(earlier[by] for earlier in self.curve):
            self.weights = {name: value.clone() for name, value in self.judged.state_dict().items()}
        if self.path and self.writes:
            scaler = self.scaler.state_dict() if self.scaler else None
            save_checkpoint(self.path, self._tensors(), {"curve": self.curve, "scaler": scaler})

    def resume(self) -> int:
        """Take up the checkpoint, if there is one; return the first step to do."""
        checkpoint = load_checkpoint(self.path) if self.path else None
        if checkpoint is None:
            return 0
        groups: dict[str, dict[str, torch.Tensor]] = {group: {} for group in ("optimizer", "best", *self._modules())}
        for name, value in checkpoint[0].items():
            group, key = name.split("/", 1)
            groups[group][key] = value
        slots: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in groups["optimizer"].items():
            index, slot = key.split(".", 1)
            slots.setdefault(int(index), {})[slot] = value
        for group, module in self._modules().items():
            module.load_state_dict(groups[group])
        self.weights, self.curve = groups["best"], checkpoint[1]["curve"]
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": slots})
        if self.scaler:
            self.scaler.load_state_dict(checkpoint[1]["scaler"])
        return self.curve[-1]["step"]

    def stalled(self, by: str, patience: int | None) -> bool:
        """Whether the last `patience` rows are no better than the best before them, by that column."""
        if patience is None or len(self.curve) <= patience:
            return False
        scores = [row[by] for row in self.curve]
        return max(scores[-patience:]) <= max(scores[:-patience])

    def best(self) -> None:
        """Put the weights that were best into the model."""
        self.model.load_state_dict(self.weights)

    def _modules(self) -> dict[str, nn.Module]:
        modules = {"model": self.model, "objective": self.objective}
        return modules if self.average is None else {**modules, "average": self.average}

    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors = {f"best/{name}": value for name, value in self.weights.items()}
        for group, module in self._modules().items():
            tensors |= {f"{group}/{name}": value for name, value in module.state_dict().items()}
        for i, slots in self.optimizer.state_dict()["state"].items():
            # SGD without momentum keeps a None.
            tensors |= {f"optimizer/{i}.{slot}": value for slot, value in slots.items() if value is not None}
        return tensors
