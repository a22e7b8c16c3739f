"""How each arm is trained: what its batches hold, which images reach the last layer, whose counts make the prior."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from src.errors import InputError
from src.training import arms
from src.training.losses import log_prior

from .fakes import RECIPE, corners

COUNTS = [24, 12, 6, 2]  # real images of each class
CPU = torch.device("cpu")
SETTINGS = {"model": "small_cnn", **asdict(RECIPE)}


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, labels and which are synthetic: COUNTS real ones, then 16 synthetic of each class."""
    images, labels = corners(400, seed=0)
    real = np.concatenate([np.flatnonzero(labels == k)[:n] for k, n in enumerate(COUNTS)])
    made = np.concatenate([np.flatnonzero(labels == k)[-16:] for k in range(4)])
    chosen = np.concatenate([real, made])
    return images[chosen], labels[chosen], np.arange(len(chosen)) >= len(real)


@pytest.fixture
def fitted(monkeypatch) -> dict:
    """What reaches `fit` and `retrain_last_layer`, which then do nothing."""
    seen: dict = {}

    def fit(model, images, labels, sampler, recipe, validation, prior, seed, scratch, describe):
        seen.update(images=images, labels=labels, sampler=sampler, recipe=recipe, prior=prior, describe=describe)
        return model, [{"step": 1}]

    def retrain_last_layer(model, images, labels, recipe, seed):
        seen.update(last_images=images, last_labels=labels, last_recipe=recipe)
        return model

    monkeypatch.setattr(arms, "fit", fit)
    monkeypatch.setattr(arms, "retrain_last_layer", retrain_last_layer)
    return seen


@pytest.mark.parametrize("fraction", [0.5, 0.25])
def test_guided_batches_are_so_far_real_and_both_parts_have_every_class_equally(data, fitted, fraction):
    images, labels, synthetic = data
    recipe = replace(RECIPE, batch=32)
    arms.train_guided("small_cnn", (images, labels), synthetic, corners(8, 1), COUNTS, recipe, fraction, 0, CPU, None)
    assert fitted["images"] is images and fitted["labels"] is labels
    for step in range(5):
        batch = fitted["sampler"](step)
        made = synthetic[batch]
        assert len(batch) == 32 and (~made).sum() == round(32 * fraction)
        for part in (made, ~made):
            assert np.bincount(labels[batch][part]).tolist() == [part.sum() // 4] * 4


def test_synaug_batches_have_every_class_equally_wherever_its_images_come_from(data, fitted):
    images, labels, synthetic = data
    arms.train_synaug("small_cnn", (images, labels), synthetic, corners(8, 1), COUNTS, RECIPE, None, 0, CPU, None)
    drawn = np.concatenate([fitted["sampler"](step) for step in range(200)])
    assert np.bincount(labels[drawn]).tolist() == [400] * 4
    head = drawn[labels[drawn] == 0]
    assert synthetic[head].mean() == pytest.approx(16 / (16 + COUNTS[0]), abs=0.1)


def test_synaug_calls_the_last_layer_on_the_real_images_alone(data, fitted):
    images, labels, synthetic = data
    last = replace(RECIPE, steps=3)
    arms.train_synaug("small_cnn", (images, labels), synthetic, corners(8, 1), COUNTS, RECIPE, last, 0, CPU, None)
    assert np.array_equal(fitted["last_images"], images[~synthetic])
    assert np.bincount(fitted["last_labels"]).tolist() == COUNTS
    assert fitted["last_recipe"] is last


def test_without_steps_the_last_layer_is_left_alone(data, fitted):
    images, labels, synthetic = data
    last = arms.last_layer_recipe(SETTINGS, {"steps": 0, "batch": 4, "lr": 0.1})
    arms.train_synaug("small_cnn", (images, labels), synthetic, corners(8, 1), COUNTS, RECIPE, last, 0, CPU, None)
    assert last is None and "last_images" not in fitted


def test_the_last_layer_follows_the_common_recipe_but_for_what_it_changes():
    made = arms.last_layer_recipe(SETTINGS, {"steps": 7, "batch": 4, "lr": 0.1})
    assert made == replace(RECIPE, steps=7, batch=4, lr=0.1, warmup=0)


def test_the_prior_is_that_of_the_real_counts_in_every_arm(data, fitted):
    images, labels, synthetic = data
    real = images[~synthetic], labels[~synthetic]
    for train in (
        lambda: arms.train_real("small_cnn", real, corners(8, 1), COUNTS, RECIPE, 0, CPU, None, "base"),
        lambda: arms.train_guided(
            "small_cnn", (images, labels), synthetic, corners(8, 1), COUNTS, RECIPE, 0.5, 0, CPU, None
        ),
        lambda: arms.train_synaug(
            "small_cnn", (images, labels), synthetic, corners(8, 1), COUNTS, RECIPE, None, 0, CPU, None
        ),
    ):
        train()
        assert torch.equal(fitted.pop("prior"), log_prior(COUNTS))


def test_the_base_sees_every_real_image_equally_often(data, fitted):
    images, labels, synthetic = data
    arms.train_real(
        "small_cnn", (images[~synthetic], labels[~synthetic]), corners(8, 1), COUNTS, RECIPE, 0, CPU, None, "base"
    )
    drawn = np.concatenate([fitted["sampler"](step) for step in range(11)])  # 88 = two epochs of 44
    assert np.bincount(drawn).tolist() == [2] * 44
    assert fitted["describe"] == "base"


def test_a_recipe_is_what_params_call_train_without_the_model():
    assert arms.recipe_from(SETTINGS) == RECIPE
    assert arms.recipe_from(SETTINGS, loss="balanced_softmax") == replace(RECIPE, loss="balanced_softmax")
    with pytest.raises(InputError, match="unknown mixing"):
        arms.recipe_from(SETTINGS, mixing="blend")


def test_all_arms_start_from_the_same_weights(data, monkeypatch):
    started = []
    monkeypatch.setattr(arms, "fit", lambda model, *rest: (started.append(model.state_dict()), (model, []))[1])
    images, labels, synthetic = data
    arms.train_real("small_cnn", (images, labels), corners(8, 1), COUNTS, RECIPE, 5, CPU, None, "base")
    common = "small_cnn", (images, labels), synthetic, corners(8, 1), COUNTS, RECIPE
    arms.train_guided(*common, 0.5, 5, CPU, None)
    arms.train_synaug(*common, None, 5, CPU, None)
    for other in started[1:]:
        assert all(torch.equal(value, other[name]) for name, value in started[0].items())
