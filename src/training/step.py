"""One optimiser step on a batch in parts: each part by itself, its gradients and batch-norm statistics averaged.

So one process that does all parts and several that share them out do the same, but for the rounding of sums.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from src.classifiers.models import Classifier
from src.training.accelerator import sum_over_processes
from src.training.loader import Part


@dataclass
class Step:
    """Does the steps of one training. objective: as in src.training.objective. parts: of a batch, on all processes.

    Most objectives are means over images: each part's graph is freed before the next. One that asks for totals over
    the batch (Group-DRO, weights) gets the logits of all parts of this process at once; with several parts the
    networks then run forward twice, first for these logits, so that memory stays that of one part.
    """

    model: Classifier
    objective: nn.Module
    optimizer: Any
    accelerator: Accelerator
    parts: int
    whole: bool = field(default=False, init=False)

    def __call__(self, parts: Sequence[Part], progress: float) -> Tensor:
        """Change the model by this process's parts of a batch; return their share of the batch's loss, detached.

        The shares of all processes add up to the loss. progress: the share of training done, in [0, 1).
        """
        self.model.train()
        self.optimizer.zero_grad()
        statistics = Statistics(self.model, self.parts)
        try:
            loss = self._whole(parts, progress, statistics) if self.whole else self._each(parts, progress, statistics)
        except _AskedForTotals:
            self.whole = True
            statistics.forget()
            loss = self._whole(parts, progress, statistics)
        statistics.average(self.accelerator)
        sum_over_processes([p.grad for p in self.model.parameters() if p.grad is not None], self.accelerator)
        self.optimizer.step()
        return loss

    def _each(self, parts: Sequence[Part], progress: float, statistics: "Statistics") -> Tensor:
        total = self.accelerator.reduce if len(parts) == 1 else _ask
        losses = []
        for part in parts:
            loss = self._loss(self._logits(part), [part], progress, total)
            self.accelerator.backward(loss / self.parts)
            statistics.add()
            losses.append(loss.detach())
        return torch.stack(losses).sum() / self.parts

    def _whole(self, parts: Sequence[Part], progress: float, statistics: "Statistics") -> Tensor:
        """The gradient of the loss by the logits first, then each part's backward pass with its rows of it."""
        logits = []
        with torch.no_grad():
            for part in parts:
                logits.append(self._logits(part))
                statistics.forget()
        joined = torch.cat(logits).requires_grad_()
        loss = self._loss(joined, parts, progress, self.accelerator.reduce) * (len(parts) / self.parts)
        (gradient,) = torch.autograd.grad(loss, joined)
        for part, rows in zip(parts, gradient.chunk(len(parts)), strict=True):
            self.accelerator.backward((self._logits(part) * rows).sum())
            statistics.add()
        return loss.detach()

    def _logits(self, part: Part) -> Tensor:
        with self.accelerator.autocast():
            return self.model(part.x).float()

    def _loss(
        self, logits: Tensor, parts: Sequence[Part], progress: float, total: Callable[[Tensor], Tensor]
    ) -> Tensor:
        groups = None if parts[0].groups is None else torch.cat([part.groups for part in parts])  # type: ignore[misc]
        targets = torch.cat([part.targets for part in parts])
        return self.objective(logits, targets, groups=groups, progress=progress, total=total)


class Statistics:
    """Batch norm's running statistics over the parts of a step: each starts from the step's, then their mean."""

    def __init__(self, model: nn.Module, parts: int) -> None:
        """Of a single part there is nothing to note."""
        norms = [m for m in model.modules() if parts > 1 and isinstance(m, nn.modules.batchnorm._BatchNorm)]
        self.parts = parts
        self.running = [value for norm in norms for value in (norm.running_mean, norm.running_var) if value is not None]
        self.counts = [norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None]
        self.starts = [value.clone() for value in self.running + self.counts]
        self.sums = [torch.zeros_like(value) for value in self.running]

    def forget(self) -> None:
        """Go back to the step's start."""
        for value, start in zip(self.running + self.counts, self.starts, strict=True):
            value.copy_(start)

    def add(self) -> None:
        """Note what a part has made of them, and go back to the step's start."""
        for value, so_far in zip(self.running, self.sums, strict=True):
            so_far.add_(value)
        self.forget()

    def average(self, accelerator: Accelerator) -> None:
        """Put the mean over all parts into the model; the batch counts as one."""
        sum_over_processes(self.sums, accelerator)
        for value, total in zip(self.running, self.sums, strict=True):
            value.copy_(total / self.parts)
        for count in self.counts:
            count.add_(1)


class _AskedForTotals(Exception):
    """An objective wants sums over the whole batch, of which only a part has been seen."""


def _ask(value: Tensor) -> Tensor:
    raise _AskedForTotals
