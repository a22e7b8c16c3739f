"""Recipes: the learning rate over time as published, lengths in epochs or steps, settings that cannot work.

Also the limits of the sections that say how the imbalance is met.
"""

import copy
import math
from dataclasses import replace

import pytest
import torch

from src.runtime.errors import InputError
from src.settings.recipe import Recipe
from src.settings.schema import build
from src.settings.sections import MethodSettings, RetrainSettings, SecondStages, SynaugSettings
from src.training.optimisation import OPTIMIZERS, learning_rate

from .fakes import PARAMS, PRESET, RECIPE

CIFAR_IMAGES = 10_847  # CIFAR100-LT with imbalance factor 100: 85 steps of 128
LDAM_DRW = build(
    Recipe,
    {
        **PRESET, "batch": 128, "optimizer": "sgd", "lr": 0.1, "weight_decay": 2e-4, "schedule": "step", "epochs": 200,
        "steps": None, "nesterov": False, "warmup": 5, "milestones": [160, 180], "factors": [0.01, 0.0001],
        "augment": "cifar",
    },
    "recipes.cifar100_lt",
)  # fmt: skip


def rates(recipe: Recipe) -> list[float]:
    return [learning_rate(recipe, step) for step in range(recipe.steps_for(0))]


def test_the_learning_rate_warms_up_linearly_and_falls_along_a_cosine() -> None:
    recipe = replace(RECIPE, steps=110, warmup=10, lr=1.0)
    assert learning_rate(recipe, 0) == pytest.approx(0.1)
    assert learning_rate(recipe, 9) == learning_rate(recipe, 10) == 1
    assert learning_rate(recipe, 60) == pytest.approx(0.5)
    assert 0 < learning_rate(recipe, 109) < 0.001


def test_cosine_is_the_published_formula() -> None:
    recipe = replace(RECIPE, steps=90, warmup=0, lr=0.2)
    assert rates(recipe) == [0.2 * (0.5 * (1 + math.cos(math.pi * (t / 90)))) for t in range(90)]


def test_a_constant_schedule_stays_at_the_peak() -> None:
    assert set(rates(replace(RECIPE, schedule="constant", warmup=0))) == {RECIPE.lr}


def test_ldam_drw_is_the_published_schedule() -> None:
    """Their epochs count from 1, and their warm-up moves once per epoch: it is met at the end of every epoch."""

    def published(epoch: int) -> float:
        if epoch <= 5:
            return 0.1 * epoch / 5
        return 0.1 * (0.0001 if epoch > 180 else 0.01 if epoch > 160 else 1)

    ours = rates(LDAM_DRW.in_steps(CIFAR_IMAGES))
    assert len(ours) == 200 * 85
    for epoch in range(1, 201):
        steps = ours[(epoch - 1) * 85 : epoch * 85]
        assert steps[-1] == pytest.approx(published(epoch), rel=1e-12)
        if epoch > 5:
            assert set(steps) == {steps[-1]}


def test_a_tenth_every_thirty_epochs_is_torchs_step_schedule() -> None:
    """Fill-Up's first stage: 100 epochs from 0.1, divided by ten every 30."""
    recipe = replace(LDAM_DRW, epochs=100, warmup=0, batch=50, milestones=(30, 60, 90), factors=(0.1, 0.01, 0.001))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    reference = torch.optim.lr_scheduler.StepLR(optimizer, 30)
    ours = rates(recipe.in_steps(100))
    for epoch in range(100):
        assert ours[2 * epoch : 2 * epoch + 2] == pytest.approx([optimizer.param_groups[0]["lr"]] * 2)
        optimizer.step()
        reference.step()


def test_warmup_stable_decay_is_a_tenth_of_warmup_then_constant_then_a_fifth_of_cosine() -> None:
    """Deliberate Practice's shares."""
    ours = rates(replace(RECIPE, steps=1000, warmup=100, lr=1.0, schedule="warmup_stable_decay", decay=0.2))
    assert ours[:100] == pytest.approx([(t + 1) / 100 for t in range(100)])
    assert set(ours[100:801]) == {1.0}
    assert ours[800:] == pytest.approx([0.5 * (1 + math.cos(math.pi * t / 200)) for t in range(200)])


def test_an_epoch_has_as_many_steps_as_begun_batches() -> None:
    recipe = replace(RECIPE, steps=None, epochs=3, warmup=1)
    assert [recipe.steps_for(n) for n in (1, 8, 9, 80)] == [3, 3, 6, 30]
    assert recipe.in_steps(80) == replace(RECIPE, steps=30, warmup=10)
    assert RECIPE.in_steps(80) is RECIPE and RECIPE.steps_for(80) == RECIPE.steps


def test_a_list_from_params_yaml_makes_the_same_recipe_as_a_tuple() -> None:
    assert replace(LDAM_DRW, milestones=(160, 180), factors=(0.01, 0.0001)) == LDAM_DRW


def test_nesterov_needs_momentum_and_may_be_turned_off() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    for momentum, nesterov, expected in [(0.9, True, True), (0.9, False, False), (0.0, True, False)]:
        recipe = replace(RECIPE, optimizer="sgd", momentum=momentum, nesterov=nesterov)
        assert OPTIMIZERS["sgd"](parameters, recipe).defaults["nesterov"] is expected


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"steps": 2.5}, "steps must be a whole number"),
        ({"steps": None}, "either as epochs or as steps"),
        ({"epochs": 2}, "either as epochs or as steps"),
        ({"steps": None, "epochs": 0}, "epochs must be positive"),
        ({"batch": 1}, "batch must be at least 2"),
        ({"parts": 3}, "parts must divide the batch of 8 images, not 3"),
        ({"parts": 0}, "parts must be at least 1, not 0"),
        ({"parts": 8}, "parts must leave each part two images"),
        ({"lr": float("nan")}, "lr must be finite, not nan"),
        ({"warmup": 21}, "warmup must lie in"),
        ({"label_smoothing": 1.0}, "label_smoothing must lie in"),
        ({"ema": 1.0}, "ema must lie in"),
        ({"schedule": "step"}, "milestones must be given"),
        ({"schedule": "step", "milestones": [5], "factors": []}, "factors must be as many as milestones"),
        ({"schedule": "step", "milestones": [9, 5], "factors": [1, 1]}, "milestones must rise"),
        (
            {"schedule": "step", "milestones": [1.5], "factors": [1]},
            "milestones .* must be whole numbers",
        ),
        ({"schedule": "warmup_stable_decay", "decay": 0.95}, "warmup must end before the decay begins"),
        ({"decay": 0}, "decay must lie in"),
        ({"nesterov": "yes"}, "nesterov must be true or false"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(settings, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        build(Recipe, {**PRESET, **settings}, "recipes.corners")


SECTIONS = {
    "train": MethodSettings, "retrain": RetrainSettings, "synaug": SynaugSettings, "second_stages": SecondStages
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        *((f"train.{name}", -0.1, f"^train.{name} must be at least 0, not -0.1")
          for name in ("focal_gamma", "adjustment_tau", "ldam_margin", "group_dro_step", "group_dro_adjustment")),
        ("train.balance_beta", 1.0, r"^train.balance_beta must lie in \[0, 1\), not 1.0"),
        ("train.balance_beta", -0.1, r"^train.balance_beta must lie in \[0, 1\), not -0.1"),
        ("train.drw_from", 80, "^train.drw_from must be at most 1, not 80"),
        ("train.mixing_alpha", 0, "^train.mixing_alpha must be positive, not 0"),
        ("synaug.mixing_alpha", 0, "^synaug.mixing_alpha must be positive, not 0"),
        ("retrain.fraction_real", 1.5, "^retrain.fraction_real must be at most 1, not 1.5"),
        ("retrain.fraction_real", -0.5, "^retrain.fraction_real must be at least 0, not -0.5"),
        ("synaug.last_layer.steps", -1, "^synaug.last_layer.steps must be at least 0, not -1"),
        ("second_stages.crt.length", 0, "^second_stages.crt.length must be positive, not 0"),
        ("second_stages.dfr.strengths", [], "^second_stages.dfr.strengths must hold positive numbers"),
        ("second_stages.dfr.strengths", [1.0, 0.0], "^second_stages.dfr.strengths must hold positive numbers"),
        ("second_stages.dfr.fits", 0, "^second_stages.dfr.fits must be at least 1, not 0"),
    ],
)  # fmt: skip
def test_a_method_out_of_its_limits_is_refused(name, value, sentence) -> None:
    section, *parents, last = name.split(".")
    values = node = copy.deepcopy(PARAMS[section])
    for parent in parents:
        node = node[parent]
    build(SECTIONS[section], values, section)
    node[last] = value
    with pytest.raises(InputError, match=sentence):
        build(SECTIONS[section], values, section)
