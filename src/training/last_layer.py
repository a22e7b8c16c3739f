"""SYNAuG's third step (Ye-Bin et al., arXiv 2308.00994): the last layer again, on uniform real images.

The backbone is frozen, batch-normalisation statistics included, so its features are computed once.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from src.classifiers.features import classifier_features, extract
from src.classifiers.models import Classifier
from src.runtime.seeds import derive
from src.shards.lazy_images import Images, subset
from src.training.recipe import Recipe
from src.training.samplers import Sampler, class_uniform, uniform_subsample


def retrain_last_layer(
    model: Classifier, images: Images, keys: np.ndarray, labels: np.ndarray, recipe: Recipe, seed: int
) -> Classifier:
    """Train `model.head` in place on a uniform subsample of real images, and return the model.

    images: uint8 (N, H, W, 3), real ones only. keys: (N,), what is to be uniform, classes or groups. labels:
    (N,). The subsample has as many images of every key as the rarest key; training starts from the present
    head. Of the recipe, what is about images is not used: the features are fixed. InputError if there are no
    images.
    """
    chosen = uniform_subsample(keys, derive("last layer", seed))
    device = model.head.weight.device
    features = torch.from_numpy(extract(classifier_features(model), subset(images, chosen))).float().to(device)
    targets = torch.from_numpy(labels[chosen]).long().to(device)
    sampler = class_uniform(keys[chosen], recipe.batch, derive("last layer", seed))
    train_on_features(model.head.parameters(), model.head, features, targets, sampler, recipe)
    return model.eval()


def train_on_features(
    parameters: Iterable[nn.Parameter],
    logits: Callable[[torch.Tensor], torch.Tensor],
    features: torch.Tensor,
    targets: torch.Tensor,
    sampler: Sampler,
    recipe: Recipe,
) -> None:
    """Minimise the cross-entropy of `logits(features)`, (N, D) -> (N, C), by changing `parameters` in place.

    targets: (N,). Of the recipe: optimiser, learning rate, length, label smoothing.
    """
    recipe = recipe.in_steps(len(features))
    optimizer = recipe.make_optimizer(parameters)
    for step in range(recipe.steps_for(len(features))):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate(step)
        batch = torch.from_numpy(sampler(step)).to(features.device)
        loss = F.cross_entropy(logits(features[batch]), targets[batch], label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
