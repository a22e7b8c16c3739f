"""How each arm is trained: what its batches hold, which images its last layer sees, how it starts and is selected."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from src.errors import InputError
from src.seeds import derive
from src.training import arms
from src.training.arms import train_synaug
from src.training.loop import fit
from src.training.losses import make_objective
from src.training.models import build
from src.training.samplers import SAMPLERS, instance_uniform

from .fakes import RECIPE
from .scene import (
    ARMS,
    COUNTS,
    LAST,
    MADE,
    NO_LAST,
    PARAMS,
    PRESET,
    RETRAIN,
    batches,
    everything,
    real_part,
    run,
    same_batches,
    setting,
)


@pytest.mark.parametrize("fraction", [0.5, 0.25])
def test_guided_batches_are_so_far_real_and_both_parts_have_every_class_equally(seen, fraction):
    run("guided", setting(recipe={"batch": 32}), fraction_real=fraction)
    data, synthetic = everything()
    assert np.array_equal(seen["fit"]["images"], data.images) and np.array_equal(seen["fit"]["labels"], data.labels)
    for batch in batches(seen["fit"]):
        made = synthetic[batch]
        assert len(batch) == 32 and (~made).sum() == round(32 * fraction)
        for part in (made, ~made):
            assert np.bincount(data.labels[batch][part]).tolist() == [part.sum() // 4] * 4


def test_by_group_guided_batches_have_every_group_of_both_parts_equally(seen):
    run("guided", setting(groups=True, recipe={"batch": 96}), balance="group")
    data, synthetic = everything(groups=True)
    for batch in batches(seen["fit"]):
        made = synthetic[batch]
        assert np.bincount(data.groups[batch][made]).tolist() == [6] * 8
        assert np.bincount(data.groups[batch][~made]).tolist() == [8, 8, 8, 8, 8, 0, 8]  # others have no real image


def test_synaug_batches_have_every_class_equally_wherever_its_images_come_from(seen):
    run("synaug", setting())
    data, synthetic = everything()
    drawn = np.concatenate(batches(seen["fit"], 200))
    assert np.bincount(data.labels[drawn]).tolist() == [400] * 4
    head = drawn[data.labels[drawn] == 0]
    assert synthetic[head].mean() == pytest.approx(MADE / (MADE + COUNTS[0]), abs=0.1)


def test_by_group_synaug_batches_have_every_group_equally(seen):
    run("synaug", setting(groups=True), balance="group")
    assert np.bincount(everything(groups=True)[0].groups[np.concatenate(batches(seen["fit"]))]).tolist() == [5] * 8


def test_data_without_groups_are_balanced_by_class_whatever_the_budget_says(seen):
    run("synaug", setting(), balance="group")
    drawn = np.concatenate(batches(seen["fit"]))
    assert np.bincount(everything()[0].labels[drawn]).tolist() == [10] * 4


@pytest.mark.parametrize("balance", ["class", "group"])
def test_synaugs_last_layer_sees_the_real_images_alone_uniform_by_what_the_budget_balances(seen, balance):
    run("synaug", setting(groups=True), balance=balance)
    real, call = real_part(everything(groups=True)[0]), seen["retrain_last_layer"]
    assert np.array_equal(call["images"], real.images) and np.array_equal(call["labels"], real.labels)
    assert np.array_equal(call["keys"], real.groups if balance == "group" else real.labels)
    assert call["recipe"] == replace(RECIPE, steps=3, batch=4, lr=0.1, warmup=0)
    assert call["seed"] == derive("last layer", 0)


def test_without_steps_the_last_layer_is_left_alone(seen):
    data, synthetic = everything()
    train_synaug(setting(), data, synthetic, RETRAIN, NO_LAST, "class", None)
    assert arms.last_layer_recipe(PRESET, NO_LAST["last_layer"]) is None and "retrain_last_layer" not in seen


def test_the_last_layer_follows_the_recipe_but_for_what_it_changes_and_what_its_length_makes_void():
    long = {
        "epochs": 90, "steps": None, "schedule": "step", "milestones": [30, 60], "factors": [0.1, 0.01], "parts": 4,
    }  # fmt: skip
    made = arms.last_layer_recipe({**PRESET, **long}, LAST["last_layer"])
    assert made == replace(RECIPE, steps=3, batch=4, lr=0.1, warmup=0, schedule="cosine")
    assert arms.last_layer_recipe({**PRESET, "schedule": "constant"}, LAST["last_layer"]).schedule == "constant"


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_base_draws_real_images_by_the_methods_sampler(seen, name):
    run("base", setting(groups=True, seed=3, sampler=name))
    make, by_group = SAMPLERS[name]
    real = real_part(everything(groups=True)[0])
    assert same_batches(seen["fit"], make(real.groups if by_group else real.labels, 8, derive("batches", 3)))
    assert len(seen["fit"]["images"]) == len(real.labels) and seen["fit"]["describe"] == "base"


def test_the_base_sees_every_real_image_equally_often_by_default(seen):
    run("base", setting(sampler=PARAMS["train"]["sampler"]))
    assert np.bincount(np.concatenate(batches(seen["fit"], 11))).tolist() == [2] * 44  # 88 = two epochs of 44


@pytest.mark.parametrize("arm", ARMS)
def test_weights_are_kept_by_the_recipes_choice_on_validation_images(seen, arm):
    here = setting(groups=True, recipe={"selection": "worst_group"})
    run(arm, here)
    assert seen["fit"]["selection"] == "worst_group"
    assert np.array_equal(seen["fit"]["validation"][0], here.validation.images)
    assert np.array_equal(seen["fit"]["validation_groups"], here.validation.groups)


def test_the_model_sees_the_recipes_size_or_else_the_stored_one(seen):
    for size in (8, None):
        run("base", setting(recipe={"image_size": size}))
        assert seen["fit"]["model"].config["image_size"] == (size or 16)


def test_a_recipe_is_the_preset_without_what_it_says_besides_the_optimisation():
    assert arms.optimisation(PRESET) == RECIPE
    assert arms.optimisation({**PRESET, "batch": 4}) == replace(RECIPE, batch=4)
    assert all(arms.optimisation(preset) for preset in PARAMS["recipes"].values())
    with pytest.raises(InputError, match="unknown schedule"):
        arms.optimisation({**PRESET, "schedule": "zigzag"})


def test_all_arms_start_from_the_weights_of_the_seed(seen):
    for seed in (0, 5):
        expected = build("small_cnn", 4, 16, derive("weights", seed)).state_dict()
        for arm in ARMS:
            run(arm, setting(seed=seed))
            started = seen["fit"]["model"].state_dict()
            assert all(torch.equal(value, started[name]) for name, value in expected.items())
            assert seen["fit"]["seed"] == derive("steps", seed)


def test_the_base_is_what_its_addresses_make_it():
    """Put together by hand: the same weights to the last bit."""
    here = setting(seed=7, loss="balanced_softmax")
    made, curve = run("base", here)
    real, validation = real_part(everything()[0]), (here.validation.images, here.validation.labels)
    network = build("small_cnn", 4, 16, derive("weights", 7))
    sampler = instance_uniform(real.labels, RECIPE.batch, derive("batches", 7))
    expected, expected_curve = fit(
        network, real.images, real.labels, sampler, RECIPE, validation, make_objective(here.method, COUNTS, None),
        derive("steps", 7), None, "by hand",
    )  # fmt: skip
    assert curve == expected_curve
    assert all(torch.equal(value, made.state_dict()[name]) for name, value in expected.state_dict().items())
