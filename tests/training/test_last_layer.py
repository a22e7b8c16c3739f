"""Last-layer re-training: the head moves, nothing else does, and tail classes gain."""

import copy
from dataclasses import replace

import numpy as np
import torch

from src.classifiers.models import Classifier, build
from src.data.labelled_images import LabelledImages
from src.evaluation.accuracy import class_accuracies, predict
from src.runtime.seeds import derive
from src.training.last_layer import retrain_last_layer
from src.training.samplers import class_uniform, subsample_indices

from .fakes import RECIPE, SGD, corners, labelled_corners
from .test_second_stage import as_theta, features, first_stage, imbalanced, softmax_regression


def biased() -> tuple[Classifier, LabelledImages]:
    model = build("small_cnn", 4, 16, seed=0)
    model.head.bias.data[0] = 50.0
    return model, labelled_corners(40, seed=0)


def test_the_backbone_is_untouched_byte_for_byte() -> None:
    model, real = biased()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    retrain_last_layer(model.train(), real, "class", RECIPE, seed=0)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"head.weight", "head.bias"}


def test_a_head_that_always_says_class_0_is_corrected() -> None:
    model, real = biased()
    assert class_accuracies(predict(model, real.images), real.labels).tolist() == [1, 0, 0, 0]
    model = retrain_last_layer(model, real, "class", replace(RECIPE, steps=300, lr=0.5), seed=0)
    assert class_accuracies(predict(model, real.images), real.labels).min() > 0.8


def test_it_is_softmax_regression_from_the_present_head_on_as_many_images_of_every_class() -> None:
    model, (images, labels) = first_stage(), imbalanced()
    start, address = as_theta(model.head), derive("last layer", 5)
    chosen = subsample_indices(labels, address)
    assert np.bincount(labels[chosen]).tolist() == [3, 3, 3, 3]
    batches = class_uniform(labels[chosen], 8, address)
    theta = softmax_regression(features(model, images[chosen]), labels[chosen], batches, start, steps=40, lr=0.1)
    head = retrain_last_layer(model, LabelledImages(images, labels), "class", SGD, seed=5).head
    assert np.allclose(as_theta(head), theta, atol=1e-5)


def test_the_same_seed_gives_the_same_head() -> None:
    model, real = biased()
    one, same = (retrain_last_layer(copy.deepcopy(model), real, "class", RECIPE, seed=4) for _ in range(2))
    assert torch.equal(one.head.weight, same.head.weight)


def test_groups_as_keys_teach_the_head_a_rare_group_that_classes_as_keys_do_not() -> None:
    """Class 1 shows its square below, nearly always on the left; on the right is the rare group."""
    images, corner = corners(160, seed=0)
    labels = np.where(np.isin(corner, [0, 1]), 0, 1)
    groups = 2 * labels + corner % 2
    kept = np.concatenate([np.flatnonzero(groups == g)[: (40, 40, 40, 2)[g]] for g in range(4)])
    tested, test_corner = corners(80, seed=1)
    rare = test_corner == 3
    accuracy = []
    real = LabelledImages(images[kept], labels[kept], groups[kept])
    for balance in ("class", "group"):
        recipe = replace(RECIPE, steps=200, lr=0.1)
        model = retrain_last_layer(build("small_cnn", 2, 16, seed=0), real, balance, recipe, seed=0)
        accuracy.append((predict(model, tested)[rare].argmax(1) == 1).mean())
    assert accuracy[1] > accuracy[0] + 0.2, accuracy
