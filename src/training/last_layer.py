"""SYNAuG's third step (Ye-Bin et al., arXiv 2308.00994): the last layer again, on class-uniform real images.

The backbone is frozen, batch-normalisation statistics included, so its features are computed once.
"""

import numpy as np
import torch
import torch.nn.functional as F

from src.evaluation.features import classifier_features, extract
from src.seeds import derive
from src.training.models import Classifier
from src.training.recipe import Recipe
from src.training.samplers import class_uniform, uniform_subsample


def retrain_last_layer(
    model: Classifier, images: np.ndarray, labels: np.ndarray, recipe: Recipe, seed: int
) -> Classifier:
    """Train `model.head` in place on a class-uniform subsample of real images, and return the model.

    images: uint8 (N, H, W, 3), real ones only. labels: (N,). The subsample has as many images of every
    class as the smallest class; training starts from the present head. Of the recipe, augment, mixing and
    loss are not used: the features are fixed and the classes equal. InputError if there are no images.
    """
    chosen = uniform_subsample(labels, derive("last layer", seed))
    device = model.head.weight.device
    features = torch.from_numpy(extract(classifier_features(model), images[chosen])).float().to(device)
    targets = torch.from_numpy(labels[chosen]).long().to(device)
    sampler = class_uniform(labels[chosen], recipe.batch, derive("last layer", seed))
    optimizer = recipe.make_optimizer(model.head.parameters())
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate(step)
        batch = torch.from_numpy(sampler(step)).to(device)
        logits = model.head(features[batch])
        loss = F.cross_entropy(logits, targets[batch], label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()
