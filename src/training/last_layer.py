"""SYNAuG's third step (Ye-Bin et al., arXiv 2308.00994): the last layer again, on uniform real images.

The backbone is frozen, batch-normalisation statistics included, so its features are computed once.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from src.classifiers.features import classifier_features, extract
from src.classifiers.models import Classifier
from src.data.labelled_images import LabelledImages
from src.runtime.seeds import derive
from src.settings.recipe import Recipe
from src.shards.lazy_images import subset
from src.training.optimisation import OPTIMIZERS, set_rate
from src.training.samplers import class_uniform, subsample_indices


def retrain_last_layer(model: Classifier, real: LabelledImages, balance: str, recipe: Recipe, seed: int) -> Classifier:
    """Last-layer re-training (arXiv 2308.00994, step 3): `model.head` on a uniform subsample of real images.

    balance: what is to be uniform, "class" or "group": the subsample has as many images of every one as the rarest has.
    Training changes the model in place and starts from the present head. Of the recipe, what is about images is not
    used: the features are fixed. Returns the model. InputError if there are no images.
    """
    keys, seed = real.keys(balance), derive("last layer", seed)
    chosen = subsample_indices(keys, seed)
    features = extract(classifier_features(model), subset(real.images, chosen))
    parameters = list(model.head.parameters())
    train_on_features(parameters, model.head, features, real.labels[chosen], keys[chosen], recipe, seed)
    return model.eval()


def train_on_features(
    parameters: Sequence[nn.Parameter], logits: Callable[[torch.Tensor], torch.Tensor], features: np.ndarray,
    labels: np.ndarray, keys: np.ndarray, recipe: Recipe, seed: int,
) -> None:  # fmt: skip
    """Minimise the cross-entropy of `logits(features)`, (N, D) -> (N, C), by changing `parameters` in place.

    features: (N, D). labels, keys: (N,); batches are uniform by key. Of the recipe: optimiser, learning rate, length,
    label smoothing.
    """
    device, recipe = parameters[0].device, recipe.in_steps(len(labels))
    optimizer = OPTIMIZERS[recipe.optimizer](parameters, recipe)
    x, targets = torch.from_numpy(features).float().to(device), torch.from_numpy(labels).long().to(device)
    sampler = class_uniform(keys, recipe.batch, seed)
    for step in range(recipe.steps_for(len(labels))):
        set_rate(optimizer, recipe, step)
        batch = torch.from_numpy(sampler(step)).to(device)
        loss = F.cross_entropy(logits(x[batch]), targets[batch], label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
