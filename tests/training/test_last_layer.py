"""Last-layer re-training: the head moves, nothing else does, and tail classes gain."""

from dataclasses import replace

import numpy as np
import torch

from src.evaluation.accuracy import class_accuracies, predict
from src.training.last_layer import retrain_last_layer
from src.training.models import Classifier, build

from .fakes import RECIPE, corners


def biased() -> tuple[Classifier, np.ndarray, np.ndarray]:
    model = build("small_cnn", 4, 16, seed=0)
    model.head.bias.data[0] = 50.0
    return (model, *corners(40, seed=0))


def test_the_backbone_is_untouched_byte_for_byte() -> None:
    model, images, labels = biased()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    retrain_last_layer(model.train(), images, labels, RECIPE, seed=0)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"head.weight", "head.bias"}


def test_a_head_that_always_says_class_0_is_corrected() -> None:
    model, images, labels = biased()
    assert class_accuracies(predict(model, images), labels).tolist() == [1, 0, 0, 0]
    model = retrain_last_layer(model, images, labels, replace(RECIPE, steps=300, lr=0.5), seed=0)
    assert class_accuracies(predict(model, images), labels).min() > 0.8


def test_the_same_seed_gives_the_same_head() -> None:
    one, same = (retrain_last_layer(*biased(), RECIPE, seed=4) for _ in range(2))
    assert torch.equal(one.head.weight, same.head.weight)
