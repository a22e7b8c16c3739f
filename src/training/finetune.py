"""Synthetic, then real: a trained network goes on, all of it, on real images (arXiv 2308.04553 and 2306.07200)."""

import torch

from src.classifiers.models import Classifier
from src.data.labelled_images import LabelledImages
from src.runtime.scratch import Scratch
from src.runtime.seeds import derive
from src.settings.recipe import Recipe
from src.settings.sections import FinetuneSettings
from src.training.loader import Batches
from src.training.loop import fit
from src.training.losses import cross_entropy
from src.training.objective import Objective
from src.training.samplers import class_uniform


def finetune_real(
    model: Classifier, real: LabelledImages, validation: LabelledImages, recipe: Recipe, settings: FinetuneSettings,
    seed: int, scratch: Scratch | None = None,
) -> Classifier:  # fmt: skip
    """Train `model` in place on class-uniform batches, at a rate of its own that decays to 0; the best on validation.

    recipe: the first stage's. settings: its length is a share of that stage's steps on these images. scratch: where a
    checkpoint is kept, or None.
    """
    count, classes = len(real.labels), int(model.config["classes"])
    steps = max(1, round(settings.length * recipe.steps_for(count)))
    recipe = recipe.going_on(steps, "cosine", lr=recipe.lr * settings.lr)
    sampler = class_uniform(real.labels, recipe.batch, derive("batches", seed))
    size, device = int(model.config["image_size"]), next(model.parameters()).device
    batches = Batches(real, classes, size, sampler, recipe, derive("steps", seed), device)
    tuned, _ = fit(model, batches, validation, Objective(cross_entropy, torch.zeros(classes)), scratch, "finetune")
    return tuned
