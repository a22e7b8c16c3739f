"""A trained network goes on, all of it: synthetic, then real (arXiv 2308.04553, 2306.07200), or while images are made.

The latter is Deliberate Practice (arXiv 2502.15588): at a constant rate, until validation stands still. The decay at
the end is the training of stage retrain, which begins anew on all images, as in every other arm, so that arms differ in
their images alone.
"""

import copy

import numpy as np
import torch

from src.classifiers.models import Classifier
from src.data.labelled_images import LabelledImages
from src.runtime.scratch import Scratch
from src.runtime.seeds import derive
from src.settings.recipe import Recipe
from src.settings.sections import FinetuneSettings, OnlineSettings
from src.training.loader import Batches
from src.training.loop import fit
from src.training.losses import cross_entropy
from src.training.objective import Objective
from src.training.samplers import Sampler, balanced_minibatches, class_uniform


def finetune_real(
    model: Classifier, real: LabelledImages, validation: LabelledImages, recipe: Recipe, settings: FinetuneSettings,
    seed: int, scratch: Scratch | None = None,
) -> Classifier:  # fmt: skip
    """Train `model` in place on class-uniform batches, at a rate of its own that decays to 0; the best on validation.

    recipe: the first stage's. settings: its length is a share of that stage's steps on these images. scratch: where a
    checkpoint is kept, or None.
    """
    steps = max(1, round(settings.length * recipe.steps_for(len(real.labels))))
    recipe = recipe.going_on(steps, "cosine", lr=recipe.lr * settings.lr)
    sampler = class_uniform(real.labels, recipe.batch, derive("batches", seed))
    return _go_on(model, real, validation, recipe, sampler, seed, scratch, "finetune")


def train_on(
    model: Classifier, data: LabelledImages, synthetic: np.ndarray, validation: LabelledImages, recipe: Recipe,
    settings: OnlineSettings, balance: str, seed: int, scratch: Scratch | None, device: torch.device,
) -> Classifier:  # fmt: skip
    """A copy of `model` trained on balanced mini-batches of real images and those made so far; the best on validation.

    data: the real images first; synthetic: bool (N,), which are not. recipe: of the base. settings: the length is a
    share of the recipe's; training ends earlier after `patience` looks without a better one.
    """
    count, keys = int((~synthetic).sum()), data.keys(balance)
    recipe = recipe.going_on(max(1, round(settings.length * recipe.steps_for(count))), "constant")
    sampler = balanced_minibatches(
        keys[~synthetic], keys[synthetic], recipe.batch, settings.fraction_real, derive("batches", seed)
    )
    copied = copy.deepcopy(model).to(device).requires_grad_(True)
    return _go_on(copied, data, validation, recipe, sampler, seed, scratch, "online", settings.patience).cpu()


def _go_on(
    model: Classifier, data: LabelledImages, validation: LabelledImages, recipe: Recipe, sampler: Sampler, seed: int,
    scratch: Scratch | None, describe: str, patience: int | None = None,
) -> Classifier:  # fmt: skip
    classes, size, device = model.config["classes"], model.config["image_size"], next(model.parameters()).device
    batches = Batches(data, int(classes), int(size), sampler, recipe, derive("steps", seed), device)
    objective = Objective(cross_entropy, torch.zeros(int(classes)))
    return fit(model, batches, validation, objective, scratch, describe, patience)[0]
