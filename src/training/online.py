"""A classifier goes on training while its images are made: at a constant rate, until validation stands still.

Deliberate Practice (arXiv 2502.15588). The decay at the end is the training of stage retrain, which begins anew on all
images, as in every other arm, so that arms differ in their images alone.
"""

import copy

import numpy as np
import torch

from src.classifiers.models import Classifier
from src.data.labelled_images import LabelledImages
from src.runtime.scratch import Scratch
from src.runtime.seeds import derive
from src.settings.recipe import Recipe
from src.settings.sections import OnlineSettings
from src.training.loader import Batches
from src.training.loop import fit
from src.training.losses import cross_entropy
from src.training.objective import Objective
from src.training.samplers import balanced_minibatches


def train_on(
    model: Classifier, data: LabelledImages, synthetic: np.ndarray, validation: LabelledImages, recipe: Recipe,
    settings: OnlineSettings, balance: str, seed: int, scratch: Scratch | None, device: torch.device,
) -> Classifier:  # fmt: skip
    """A copy of `model` trained on balanced mini-batches of real images and those made so far; the best on validation.

    data: the real images first; synthetic: bool (N,), which are not. recipe: of the base. settings: the length is a
    share of the recipe's; training ends earlier after `patience` looks without a better one.
    """
    count, classes, keys = int((~synthetic).sum()), int(model.config["classes"]), data.keys(balance)
    steps = max(1, round(settings.length * recipe.steps_for(count)))
    recipe = recipe.going_on(steps, "constant")
    sampler = balanced_minibatches(
        keys[~synthetic], keys[synthetic], recipe.batch, settings.fraction_real, derive("batches", seed)
    )
    batches = Batches(
        data, classes, int(model.config["image_size"]), sampler, recipe, derive("steps", seed), device
    )  # fmt: skip
    objective = Objective(cross_entropy, torch.zeros(classes))
    goes_on = copy.deepcopy(model).to(device).requires_grad_(True)
    return fit(goes_on, batches, validation, objective, scratch, "online", settings.patience)[0].cpu()
