"""Training a classifier: deterministic in its seed, resumable, the weights that validate best are kept.

Everything random in a step is derived from (seed, step), so a resumed run repeats an uninterrupted one. Inside
`src.runtime.processes.together` all processes call `fit` alike and share out each batch; the first keeps the state.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from src.classifiers.models import Classifier
from src.evaluation.accuracy import macro_accuracy, predict, worst_group_accuracy
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.runtime.processes import is_main
from src.runtime.scratch import Scratch
from src.shards.lazy_images import Images
from src.training.accelerator import accelerator, agreed, shared
from src.training.batches import Batches
from src.training.recipe import Recipe
from src.training.samplers import Sampler
from src.training.step import Step
from src.training.training_state import TrainingState

CHECKS = 10  # validations per run; also how often a checkpoint is written


def fit(
    model: Classifier,
    images: Images,
    labels: np.ndarray,
    sampler: Sampler,
    recipe: Recipe,
    validation: tuple[Images, np.ndarray],
    objective: nn.Module,
    seed: int,
    scratch: Scratch | None,
    describe: str,
    *,
    groups: np.ndarray | None = None,
    mixing: tuple[str, float] = ("none", 0.2),
    mixing_sampler: Sampler | None = None,
    selection: str = "macro",
    validation_groups: np.ndarray | None = None,
) -> tuple[Classifier, list[dict[str, Any]]]:
    """Train `model` in place, where it lies, and return it with its learning curve.

    images: uint8 (N, H, W, 3). labels: (N,) integers. sampler: step -> indices into both. validation: images and
    labels that choose the weights by `selection`, one of SELECTIONS, the later of equals. objective: see
    src.training.objective; its buffers belong to the checkpoint. scratch: where that is kept, or None. describe: the
    progress bar's words. groups, validation_groups: (N,), (M,) integers, None without contexts. mixing: a name in
    MIXING and its alpha; mixing_sampler: step -> indices of the second batch, for names that need one.
    Curve rows: step, epoch (of N images), loss (mean since the last row), learning_rate, accuracy (macro), with
    validation_groups worst_group, and what else is selected by. With ema the averaged weights are judged and kept.
    Raises InputError if the loss stops being finite.
    """
    recipe, device = recipe.in_steps(len(images)), next(model.parameters()).device
    steps = recipe.steps_for(len(images))
    judge = _Judge(validation, validation_groups, selection)
    helper = accelerator(recipe, device)
    batches = Batches(
        images, labels, groups, model.head.out_features, int(model.config["image_size"]), sampler, recipe, mixing,
        mixing_sampler, seed, device, helper.process_index, helper.num_processes,
    )  # fmt: skip
    optimizer, objective = recipe.make_optimizer(model.parameters()), objective.to(device).train()
    advance = Step(model, objective, helper.prepare(optimizer), helper, recipe.parts)
    average = None
    if recipe.ema:
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
    path = scratch.path / "training.safetensors" if scratch else None
    run = TrainingState(model, average, objective, optimizer, helper.scaler, path, writes=helper.is_main_process)
    first = agreed(run.resume(), helper)
    interval = max(1, steps // CHECKS)
    losses: list[torch.Tensor] = []
    bar = tqdm(total=steps, initial=first, desc=describe, disable=not is_main(), leave=False, mininterval=2)
    with bar, _deterministic():
        for step, read in batches.ahead(first, steps):
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate(step)
            losses.append(advance(batches.parts(step, read), step / steps))
            if average is not None:
                average.update_parameters(model)
            bar.update()
            if (step + 1) % interval == 0 or step + 1 == steps:
                row = {
                    "step": step + 1,
                    "epoch": (step + 1) * recipe.batch / len(images),
                    "loss": helper.reduce(torch.stack(losses).mean()).item(),
                    "learning_rate": recipe.learning_rate(step),
                }
                if not np.isfinite(row["loss"]):
                    raise InputError(f"the loss is not finite at step {step + 1}; lower the learning rate")
                losses.clear()
                scores = judge(run.judged) if helper.is_main_process else {}
                run.keep({**row, **shared(scores, helper)}, SELECTIONS[selection])
    run.best()
    return model.eval(), run.curve


# How the kept weights are chosen, and the curve's column that says so.
SELECTIONS = {"macro": "accuracy", "worst_group": "worst_group", "overall": "overall"}


class _Judge:
    """Validation accuracies of a model, under the names of the curve's columns."""

    def __init__(self, validation: tuple[Images, np.ndarray], groups: np.ndarray | None, selection: str) -> None:
        choose("selection", SELECTIONS, selection)
        if selection == "worst_group" and groups is None:
            raise InputError(
                "the recipe's selection=worst_group needs groups, and there are none here; set it to macro or overall"
            )
        self.images: Any = validation[0]
        self.labels = validation[1]
        self.groups, self.selection = groups, selection

    def __call__(self, model: nn.Module) -> dict[str, float]:
        probabilities = predict(model, self.images)
        scores = {"accuracy": macro_accuracy(probabilities, self.labels)}
        if self.groups is not None:
            scores["worst_group"] = worst_group_accuracy(probabilities, self.labels, self.groups)
        if self.selection == "overall":
            scores["overall"] = float((probabilities.argmax(1) == self.labels).mean())
        return scores


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
