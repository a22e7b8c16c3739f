"""Training a classifier: deterministic in its seed, resumable, the weights that validate best are kept.

Everything random in a step is derived from (seed, step), so a resumed run repeats an uninterrupted one. Inside
`src.runtime.processes.together` all processes call `fit` alike and share out each batch; the first keeps the state.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from src.classifiers.models import Classifier
from src.data.labelled_images import LabelledImages
from src.evaluation.accuracy import macro_accuracy, predict, worst_group_accuracy
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.runtime.processes import is_main
from src.runtime.scratch import Scratch
from src.runtime.seeds import deterministic
from src.training.accelerator import accelerator, shared
from src.training.loader import Batches
from src.training.optimisation import OPTIMIZERS, learning_rate, set_rate
from src.training.step import Step
from src.training.training_state import TrainingState

CHECKS = 10  # validations per run; also how often a checkpoint is written


def fit(
    model: Classifier,
    batches: Batches,
    validation: LabelledImages,
    objective: nn.Module,
    scratch: Scratch | None,
    describe: str,
    patience: int | None = None,
) -> tuple[Classifier, list[dict[str, Any]]]:
    """Train `model` in place, where it lies, and return it with its learning curve.

    batches: of the N training images, with the recipe that says how often and how fast; its names are checked
    (`optimisation.check_choices`). validation: images that choose the weights by the recipe's `selection`, one of
    SELECTIONS, the later of equals. objective: see src.training.objective; its buffers belong to the checkpoint.
    scratch: where that is kept, or None. describe: the progress bar's words. Curve rows: step, epoch (of N images),
    loss (mean since the last row), learning_rate, accuracy (macro), for validation images with groups worst_group, and
    what else is selected by. With ema the averaged weights are judged and kept. patience: rows without a better one
    after which training ends; None: it goes to its end. InputError if the loss stops being finite.
    """
    count, device = len(batches.data.images), next(model.parameters()).device
    recipe, steps = batches.recipe.in_steps(count), batches.recipe.steps_for(count)
    _check_selection(recipe.selection, validation)
    helper = accelerator(recipe, device)
    batches = replace(batches, rank=helper.process_index, processes=helper.num_processes)
    optimizer, objective = OPTIMIZERS[recipe.optimizer](model.parameters(), recipe), objective.to(device).train()
    advance = Step(model, objective, helper.prepare(optimizer), helper, recipe.parts)
    average = None
    if recipe.ema:
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
    path = scratch.path / "training.safetensors" if scratch else None
    run = TrainingState(model, average, objective, optimizer, helper.scaler, path, writes=helper.is_main_process)
    first, by = run.resume(), SELECTIONS[recipe.selection]
    if shared(first, helper) != first:
        raise InputError(
            "the processes do not see the same checkpoint; put the repository where all of them read the same files"
        )
    if run.stalled(by, patience):
        first = steps
    interval = max(1, steps // CHECKS)
    losses: list[torch.Tensor] = []
    bar = tqdm(total=steps, initial=first, desc=describe, disable=not is_main(), leave=False, mininterval=2)
    with bar, deterministic():
        for step, read in batches.ahead(first, steps):
            set_rate(optimizer, recipe, step)
            losses.append(advance(batches.parts(step, read), step / steps))
            if average is not None:
                average.update_parameters(model)
            bar.update()
            if (step + 1) % interval == 0 or step + 1 == steps:
                row = {
                    "step": step + 1,
                    "epoch": (step + 1) * recipe.batch / count,
                    "loss": helper.reduce(torch.stack(losses).mean()).item(),
                    "learning_rate": learning_rate(recipe, step),
                }
                if not np.isfinite(row["loss"]):
                    raise InputError(f"the loss is not finite at step {step + 1}; lower the learning rate")
                losses.clear()
                scores = _scores(run.judged, validation, recipe.selection) if helper.is_main_process else {}
                run.keep({**row, **shared(scores, helper)}, by)
                if run.stalled(by, patience):
                    break
    run.best()
    return model.eval(), run.curve


# How the kept weights are chosen, and the curve's column that says so.
SELECTIONS = {"macro": "accuracy", "worst_group": "worst_group", "overall": "overall"}


def _check_selection(selection: str, validation: LabelledImages) -> None:
    choose("selection", SELECTIONS, selection)
    if selection == "worst_group" and validation.groups is None:
        raise InputError(
            "the recipe's selection=worst_group needs groups, and there are none here; set it to macro or overall"
        )


def _scores(model: nn.Module, validation: LabelledImages, selection: str) -> dict[str, float]:
    """Validation accuracies, under the names of the curve's columns."""
    labels, probabilities = validation.labels, predict(model, validation.images)
    scores = {"accuracy": macro_accuracy(probabilities, labels)}
    if validation.groups is not None:
        scores["worst_group"] = worst_group_accuracy(probabilities, labels, validation.groups)
    if selection == "overall":
        scores["overall"] = float((probabilities.argmax(1) == labels).mean())
    return scores
