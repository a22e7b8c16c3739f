"""Second stages against slow references on the same features; the backbone never changes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from src.classifiers.features import classifier_features, extract
from src.classifiers.models import Classifier, build
from src.data.labelled_images import LabelledImages
from src.evaluation.accuracy import class_accuracies, macro_accuracy, predict
from src.runtime.errors import InputError
from src.runtime.seeds import derive
from src.settings.recipe import Recipe
from src.settings.schema import build as build_section
from src.settings.sections import DfrSettings, FinetuneSettings, HeadSettings, SecondStages
from src.training import second_stage as second_stage_module
from src.training.dfr import reweight
from src.training.samplers import Sampler, class_uniform
from src.training.second_stage import SECOND_STAGES, Task, second_stage

from .fakes import PARAMS, SGD, corners, labelled_corners

SETTINGS = SecondStages(
    crt=HeadSettings(length=0.5, least_steps=0, lr=None),
    lws=HeadSettings(length=0.5, least_steps=0, lr=0.05),
    dfr=DfrSettings(strengths=(1.0, 0.1), fits=2),
    finetune=FinetuneSettings(length=0.5, lr=0.1),
)
CHANGING = [name for name in SECOND_STAGES if name != "none"]


class Quadrants(nn.Module):
    """Features (B, 4): how bright each corner is; the class's own is brightest."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(x, 8).mean(1).flatten(1) + 1


def first_stage() -> Classifier:
    """A head that has learned the corners, with weights the shorter the rarer the class: it misses classes 2 and 3."""
    model = Classifier(Quadrants(), 4, {"name": "quadrants", "classes": 4, "image_size": 16}).eval()
    with torch.no_grad():
        model.head.weight.copy_(torch.diag(torch.tensor([3.0, 2.0, 0.8, 0.4])))
        model.head.bias.copy_(torch.tensor([0.2, 0.1, 0.0, 0.0]))
    return model


def imbalanced() -> tuple[np.ndarray, np.ndarray]:
    images, labels = corners(80, seed=0)
    kept = np.concatenate([np.flatnonzero(labels == k)[: (20, 12, 6, 3)[k]] for k in range(4)])
    return images[kept], labels[kept]


def run(
    name: str, model: Classifier, recipe: Recipe = SGD, seed: int = 0, settings: SecondStages = SETTINGS,
    validation: LabelledImages | None = None,
) -> Classifier:  # fmt: skip
    task = Task(LabelledImages(*imbalanced()), validation or labelled_corners(40, seed=1), recipe, settings, seed)
    return second_stage(name, model, task)


def features(model: Classifier, images: np.ndarray) -> np.ndarray:
    return extract(classifier_features(model), images)


@pytest.mark.parametrize("name", [name for name in SECOND_STAGES if name != "finetune"])
def test_the_head_alone_changes(name: str) -> None:
    model = build("small_cnn", 4, 16, seed=0).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    run(name, model)
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed <= {"head.weight", "head.bias"} and (changed == set()) == (name == "none") and not model.training
    assert type(model.head) is nn.Linear and model.config == build("small_cnn", 4, 16, seed=0).config


@pytest.mark.parametrize("name", CHANGING)
def test_the_same_seed_gives_the_same_head(name: str) -> None:
    one, same = (run(name, first_stage(), seed=4).head for _ in range(2))
    assert torch.equal(one.weight, same.weight) and torch.equal(one.bias, same.bias)


@pytest.mark.parametrize("name", CHANGING)
def test_classes_that_the_first_stage_misses_are_recognised(name: str) -> None:
    images, labels = corners(80, seed=2)
    assert class_accuracies(predict(first_stage(), images), labels).tolist() == [1, 1, 0, 0]
    longer = HeadSettings(length=10, least_steps=0, lr=0.5)
    settings = replace(SETTINGS, crt=longer, lws=longer, finetune=FinetuneSettings(length=10, lr=5.0))
    model = run(name, first_stage(), replace(SGD, weight_decay=0.0), settings=settings)
    assert class_accuracies(predict(model, images), labels).min() > 0.9


def test_fine_tuning_trains_every_layer_on_real_images_from_where_the_first_stage_ended() -> None:
    model = build("small_cnn", 4, 16, seed=0)
    before = {key: value.clone() for key, value in model.named_parameters()}
    run("finetune", model, settings=replace(SETTINGS, finetune=FinetuneSettings(length=1.0, lr=1.0)))
    assert not any(torch.equal(value, before[key]) for key, value in model.named_parameters())
    slow = build("small_cnn", 4, 16, seed=0)
    run("finetune", slow, settings=replace(SETTINGS, finetune=FinetuneSettings(length=1e-4, lr=1e-9)))
    for key, value in slow.named_parameters():
        torch.testing.assert_close(value, before[key], rtol=0, atol=1e-6)


def softmax(z: np.ndarray) -> np.ndarray:
    exps = np.exp(z - z.max(1, keepdims=True))
    return exps / exps.sum(1, keepdims=True)


def sgd(theta: np.ndarray, gradient: Any, steps: int, lr: float) -> np.ndarray:
    """Nesterov momentum 0.9 and weight decay 0.01 by hand, cosine decay to zero."""
    velocity = np.zeros_like(theta)
    for step in range(steps):
        g = gradient(theta, step) + 0.01 * theta
        velocity = g if step == 0 else 0.9 * velocity + g
        theta = theta - lr * 0.5 * (1 + np.cos(np.pi * step / steps)) * (g + 0.9 * velocity)
    return theta


def softmax_regression(
    x: np.ndarray, labels: np.ndarray, batches: Sampler, theta: np.ndarray, steps: int, lr: float
) -> np.ndarray:
    """A head (C, D + 1), its last column the bias, from `theta` on by `sgd` on batches of features (N, D)."""
    x = np.hstack([x, np.ones((len(x), 1))])

    def gradient(theta: np.ndarray, step: int) -> np.ndarray:
        rows = batches(step)
        return (softmax(x[rows] @ theta.T) - np.eye(4)[labels[rows]]).T @ x[rows] / len(rows)

    return sgd(theta, gradient, steps, lr)


def as_theta(head: nn.Linear) -> np.ndarray:
    return torch.cat([head.weight, head.bias[:, None]], 1).detach().double().numpy()


def test_crt_is_softmax_regression_from_new_weights_on_class_uniform_batches() -> None:
    images, labels = imbalanced()
    model = first_stage()
    torch.manual_seed(derive("crt", 0))
    start = as_theta(nn.Linear(4, 4))
    batches = class_uniform(labels, 8, derive("crt", 0))
    theta = softmax_regression(features(model, images), labels, batches, start, steps=20, lr=0.1)
    assert np.allclose(as_theta(run("crt", model).head), theta, atol=1e-5)


def test_lws_learns_one_factor_per_class_of_the_frozen_head() -> None:
    images, labels = imbalanced()
    model = first_stage()
    old = [tensor.detach().double().numpy().copy() for tensor in (model.head.weight, model.head.bias)]
    z = features(model, images) @ old[0].T + old[1]
    batches = class_uniform(labels, 8, derive("lws", 0))

    def gradient(scale: np.ndarray, step: int) -> np.ndarray:
        rows = batches(step)
        return ((softmax(scale * z[rows]) - np.eye(4)[labels[rows]]) * z[rows]).mean(0)

    scale = sgd(np.ones(4), gradient, steps=20, lr=0.05)
    head = run("lws", model).head
    assert np.allclose(head.weight.detach().numpy(), old[0] * scale[:, None], atol=1e-5)
    assert np.allclose(head.bias.detach().numpy(), old[1] * scale, atol=1e-5)


def test_tau_norm_is_the_formula_at_the_tau_that_validates_best() -> None:
    validation = corners(40, seed=1)
    model = first_stage()
    weight = model.head.weight.detach().double().numpy().copy()
    x, best = features(model, validation[0]), -1.0
    for i in range(41):
        scaled = np.array([w / np.linalg.norm(w) ** (i * 0.05) for w in weight])
        if (accuracy := macro_accuracy(x @ scaled.T, validation[1])) > best:
            best, expected = accuracy, scaled
    assert not np.allclose(expected, weight), "there should be something to balance"
    head = run("tau_norm", model).head
    assert np.allclose(head.weight.detach().numpy(), expected, rtol=1e-5) and not head.bias.any()


@pytest.mark.parametrize("grouped", [True, False])
def test_dfr_fits_validation_features_by_group_or_else_by_class(grouped: bool) -> None:
    images, labels = corners(60, seed=1)
    groups = 2 * labels + (np.arange(60) % 5 == 0) if grouped else None
    model = first_stage()
    keys = labels if groups is None else groups
    inputs = [features(model, x).astype(np.float32) for x in (imbalanced()[0], images)]
    weight, bias = reweight(*inputs, labels, keys, 4, SETTINGS.dfr, derive("dfr", 3))
    head = run("dfr", model, seed=3, validation=LabelledImages(images, labels, groups)).head
    assert np.allclose(head.weight.detach().numpy(), weight, rtol=1e-5)
    assert np.allclose(head.bias.detach().numpy(), bias, rtol=1e-5)


@pytest.mark.parametrize("name", ["crt", "lws"])
def test_a_short_recipe_leaves_a_second_stage_its_least_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A ninth of the default's 400 steps left LWS 22: under AdamW its factors stayed within 4 % of 1.
    lengths: list[int] = []
    monkeypatch.setattr(second_stage_module, "train_on_features", lambda *given: lengths.append(given[5].steps))
    for steps in (40, 40_000):
        settings = build_section(SecondStages, PARAMS["second_stages"], "second_stages")
        run(name, first_stage(), settings=settings, recipe=replace(SGD, steps=steps))
    share = getattr(settings, name).length
    assert lengths == [1000, round(40_000 * share)] and lengths[1] > 1000


def test_a_cosine_head_is_made_again_by_crt_and_replaced_by_dfr() -> None:
    model = build("small_cnn", 4, 16, seed=0, head="cosine")
    kind, old = type(model.head), model.head.weight.clone()
    model = run("crt", model)
    assert type(model.head) is kind and not torch.equal(model.head.weight, old) and model.config["head"] == "cosine"
    model = run("dfr", model)
    assert type(model.head) is nn.Linear and "head" not in model.config


@pytest.mark.parametrize("name", ["lws", "tau_norm"])
def test_a_cosine_head_cannot_be_rescaled(name: str) -> None:
    with pytest.raises(InputError, match=f"second_stage {name} rescales a linear head"):
        run(name, build("small_cnn", 4, 16, seed=0, head="cosine"))


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(InputError, match="unknown second stage 'svm'; choose one of: none, crt, lws, tau_norm, dfr"):
        run("svm", first_stage())
