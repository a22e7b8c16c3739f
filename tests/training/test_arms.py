"""How each arm is trained: what its batches hold, which images its last layer sees, how it starts and is selected."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from src.classifiers.features import extract, feature_batches
from src.classifiers.models import build
from src.data.labelled_images import LabelledImages
from src.runtime.errors import InputError
from src.runtime.seeds import derive
from src.settings.recipe import Recipe
from src.settings.schema import build as build_section
from src.settings.sections import SynaugSettings
from src.training import arms
from src.training.arms import train_synaug
from src.training.loader import Batches
from src.training.loop import fit
from src.training.losses import make_objective
from src.training.optimisation import check_choices
from src.training.samplers import SAMPLERS, instance_uniform

from .fakes import METHOD, NO_LAST_LAYER, PARAMS, RECIPE, RETRAIN, SYNAUG
from .scene import (
    ARMS,
    COUNTS,
    MADE,
    SYNTHETIC,
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
    assert np.array_equal(seen["fit"]["batches"].data.images, data.images)
    assert np.array_equal(seen["fit"]["batches"].data.labels, data.labels)
    for batch in batches(seen["fit"]):
        drawn = synthetic[batch]
        assert len(batch) == 32 and (~drawn).sum() == round(32 * fraction)
        for part in (drawn, ~drawn):
            assert np.bincount(data.labels[batch][part]).tolist() == [part.sum() // 4] * 4


def test_by_group_guided_batches_have_every_group_equally_also_those_without_real_images(seen):
    run("guided", setting(groups=True, recipe={"batch": 96}), balance="group")
    data, synthetic = everything(groups=True)
    for batch in batches(seen["fit"]):
        drawn = synthetic[batch]
        assert np.bincount(data.groups[batch]).tolist() == [12] * 8
        assert np.bincount(data.groups[batch][~drawn]).tolist() == [8, 8, 8, 8, 8, 0, 8]  # others have no real image


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
    assert np.array_equal(call["real"].images, real.images) and np.array_equal(call["real"].labels, real.labels)
    assert call["balance"] == balance and np.array_equal(call["real"].groups, real.groups)
    assert call["recipe"] == replace(RECIPE, steps=3, batch=4, lr=0.1, warmup=0)
    assert call["seed"] == derive("last layer", 0)


@pytest.mark.parametrize(("preset", "lr"), [("digits", 0.001), ("cifar10_lt", 0.025), ("imagenet_lt", 0.0125)])
def test_the_last_layers_rate_is_the_recipes_in_proportion_to_the_batch(preset: str, lr: float) -> None:
    # One rate for all, .001, suits AdamW and is a hundredth of what SGD's recipes use.
    recipe = build_section(Recipe, {**PARAMS["recipes"][preset], "name": preset}, "recipes")
    last_layer = build_section(SynaugSettings, PARAMS["synaug"], "synaug").last_layer
    assert arms.last_layer_recipe(recipe, last_layer).lr == pytest.approx(lr)


def test_a_later_stage_says_what_it_moved_and_aloud_if_that_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    data, synthetic = everything()
    for rate, still in ((1e-9, True), (1.0, False)):
        synaug = replace(SYNAUG, last_layer=replace(SYNAUG.last_layer, lr=rate, steps=30))
        here = setting(recipe={"optimizer": "sgd", "lr": 0.1, "steps": 1, "warmup": 0})
        later = train_synaug(here, data, synthetic, RETRAIN, synaug, "class", None).later
        assert list(later) == ["last_layer"] and (later["last_layer"] == 0) == still
        assert ("last_layer has put no validation image into another class" in capsys.readouterr().err) == still


def test_synaugs_last_layer_is_trained_before_the_second_stage(seen):
    run("synaug", setting(), second_stage="crt")
    assert list(seen) == ["make_objective", "fit", "retrain_last_layer", "second_stage"]  # in the order of the calls


def test_without_steps_the_last_layer_is_left_alone(seen):
    data, synthetic = everything()
    train_synaug(setting(), data, synthetic, RETRAIN, NO_LAST_LAYER, "class", None)
    assert arms.last_layer_recipe(RECIPE, NO_LAST_LAYER.last_layer) is None and "retrain_last_layer" not in seen


def test_the_last_layer_follows_the_recipe_but_for_what_it_changes_and_what_its_length_makes_void():
    long = replace(
        RECIPE, epochs=90, steps=None, schedule="step", milestones=(30, 60), factors=(0.1, 0.01), parts=4
    )  # fmt: skip
    short = arms.last_layer_recipe(long, SYNAUG.last_layer)
    assert short == replace(RECIPE, steps=3, batch=4, lr=0.1, warmup=0, schedule="cosine")
    assert arms.last_layer_recipe(replace(RECIPE, schedule="constant"), SYNAUG.last_layer).schedule == "constant"


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_base_draws_real_images_by_the_methods_sampler(seen, name):
    run("base", setting(groups=True, seed=3, sampler=name))
    make, by_group = SAMPLERS[name]
    real = real_part(everything(groups=True)[0])
    assert same_batches(seen["fit"], make(real.groups if by_group else real.labels, 8, derive("batches", 3)))
    assert len(seen["fit"]["batches"].data.images) == len(real.labels) and seen["fit"]["describe"] == "base"


def test_the_base_sees_every_real_image_equally_often_by_default(seen):
    run("base", setting(sampler=PARAMS["train"]["sampler"]))
    assert np.bincount(np.concatenate(batches(seen["fit"], 11))).tolist() == [2] * 44  # 88 = two epochs of 44


@pytest.mark.parametrize("arm", ARMS)
def test_weights_are_kept_by_the_recipes_choice_on_validation_images(seen, arm):
    here = setting(groups=True, recipe={"selection": "worst_group"})
    run(arm, here)
    assert seen["fit"]["batches"].recipe.selection == "worst_group"
    assert seen["fit"]["validation"] is here.validation


def test_the_model_sees_the_recipes_size_or_else_the_stored_one(seen):
    for size in (8, None):
        run("base", setting(recipe={"image_size": size}))
        assert seen["fit"]["model"].config["image_size"] == (size or 16)


def test_a_model_that_sees_more_than_is_stored_is_refused_before_it_is_built(seen, monkeypatch):
    monkeypatch.setattr(arms, "build", lambda *_: pytest.fail("built"))
    sentence = (
        r"^recipes\.corners\.image_size=24 is above the 16 pixels that images are stored with; lower it, or raise "
        r"datasets\.corners\.image_size$"
    )
    for arm in ARMS:
        with pytest.raises(InputError, match=sentence):
            run(arm, setting(recipe={"image_size": 24, "augment": "photo"}))
    assert "fit" not in seen


def test_no_preset_sees_more_than_is_stored():
    for name, recipe in PARAMS["recipes"].items():
        stored = PARAMS["datasets"][name]["image_size"]
        assert arms.image_size(build_section(Recipe, recipe, name), stored) == (recipe["image_size"] or stored)


class Unread:
    """Images too many for memory: whoever asks for more than a few at once, or for synthetic ones, fails."""

    dtype = np.dtype(np.uint8)

    def __init__(self, images: np.ndarray, allowed: int, most: int) -> None:
        self._images, self._allowed, self._most, self.read, self.shape = images, allowed, most, set(), images.shape

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, key):
        chosen = np.arange(len(self))[key].reshape(-1)
        assert len(chosen) <= self._most and (chosen < self._allowed).all()
        self.read |= set(chosen.tolist())
        return self._images[key]


@pytest.mark.parametrize("arm", SYNTHETIC)
def test_real_images_that_no_stage_asks_for_are_not_looked_for_after_training(seen, monkeypatch, arm):
    monkeypatch.setattr(arms, "_real", lambda *_: pytest.fail("looked for"))
    data, synthetic = everything()
    lazy = replace(data, images=Unread(data.images, 0, 0))
    if arm == "guided":
        arms.train_guided(setting(), lazy, synthetic, RETRAIN, "class", None)
    else:
        train_synaug(setting(), lazy, synthetic, RETRAIN, NO_LAST_LAYER, "class", None)
    assert not lazy.images.read and not {"second_stage", "retrain_last_layer"} & set(seen)


@pytest.mark.parametrize("name", ["crt", "lws", "dfr"])
def test_stages_on_real_images_decode_them_a_batch_at_a_time_and_to_the_same_head(monkeypatch, name):
    """SYNAuG's last layer, then a second stage: of 44 real images never more than 4 at once."""
    monkeypatch.setattr("src.training.last_layer.extract", partial(extract, batch=4))
    monkeypatch.setattr("src.training.second_stage.feature_batches", partial(feature_batches, batch=4))
    monkeypatch.setattr(arms, "fit", lambda model, *_, **__: (model.eval(), []))
    data, synthetic = everything()
    lazy = replace(data, images=Unread(data.images, sum(COUNTS), 4))
    retrain = replace(RETRAIN, second_stage=name)
    heads = [train_synaug(setting(), d, synthetic, retrain, SYNAUG, "class", None)[0].head for d in (data, lazy)]
    assert lazy.images.read == set(range(sum(COUNTS)))
    assert torch.equal(heads[0].weight, heads[1].weight) and torch.equal(heads[0].bias, heads[1].bias)


def without_real(missing: tuple[int, ...]):
    """Everything, but for the real images of these classes."""
    data, synthetic = everything()
    kept = synthetic | ~np.isin(data.labels, missing)
    return LabelledImages(data.images[kept], data.labels[kept]), synthetic[kept]


LAST_CURE = r"and synaug\.last_layer would need one; set synaug\.last_layer\.steps: 0$"
SECOND_CURE = r"and retrain\.second_stage {0} would need one; set retrain\.second_stage: none$"
BOTH_CURE = (
    r"and synaug\.last_layer and retrain\.second_stage {0} would need one; "
    r"set synaug\.last_layer\.steps: 0 and retrain\.second_stage: none$"
)


@pytest.mark.parametrize(
    ("arm", "synaug", "second", "missing", "cure"),
    [
        ("synaug", SYNAUG, "none", (2, 3), LAST_CURE),
        ("synaug", NO_LAST_LAYER, "crt", (2, 3), SECOND_CURE),
        ("synaug", SYNAUG, "lws", (2, 3), BOTH_CURE),
        ("guided", SYNAUG, "crt", (2, 3), SECOND_CURE),
        ("guided", SYNAUG, "lws", (2, 3), SECOND_CURE),
        ("guided", SYNAUG, "dfr", (0, 1, 2, 3), SECOND_CURE),
        ("synaug", SYNAUG, "tau_norm", (0, 1, 2, 3), LAST_CURE),
    ],
)
def test_a_head_trained_on_real_images_is_refused_where_a_class_has_none_left(seen, arm, synaug, second, missing, cure):
    data, synthetic = without_real(missing)
    retrain = replace(RETRAIN, second_stage=second, fraction_real=0 if len(missing) == 4 else 0.5)
    with pytest.raises(InputError, match=f"^class {missing[0]} has no real image left, {cure.format(second)}"):
        if arm == "guided":
            arms.train_guided(setting(), data, synthetic, retrain, "class", None)
        else:
            train_synaug(setting(), data, synthetic, retrain, synaug, "class", None)
    assert "fit" not in seen


@pytest.mark.parametrize(("second", "missing"), [("none", (0, 1, 2, 3)), ("tau_norm", (0, 1, 2, 3)), ("dfr", (2, 3))])
def test_stages_that_do_not_train_on_real_images_may_go_without_them(monkeypatch, second, missing):
    monkeypatch.setattr(arms, "fit", lambda model, *_, **__: (model.eval(), []))
    data, synthetic = without_real(missing)
    retrain = replace(RETRAIN, second_stage=second, fraction_real=0)
    for model, *_ in (
        arms.train_guided(setting(), data, synthetic, retrain, "class", None),
        train_synaug(setting(), data, synthetic, retrain, NO_LAST_LAYER, "class", None),
    ):
        assert model.head.weight.isfinite().all()


def test_every_preset_is_a_recipe_of_known_choices_and_an_unknown_one_is_refused_before_anything_is_trained():
    for name, preset in PARAMS["recipes"].items():
        check_choices(build_section(Recipe, preset, name))
    with pytest.raises(InputError, match="unknown schedule"):
        setting(recipe={"schedule": "zigzag"})


def test_all_arms_start_from_the_weights_of_the_seed(seen):
    for seed in (0, 5):
        expected = build("small_cnn", 4, 16, derive("weights", seed)).state_dict()
        for arm in ARMS:
            run(arm, setting(seed=seed))
            started = seen["fit"]["model"].state_dict()
            assert all(torch.equal(value, started[name]) for name, value in expected.items())
            assert seen["fit"]["batches"].seed == derive("steps", seed)


def test_the_base_is_what_its_addresses_make_it():
    """Put together by hand: the same weights to the last bit."""
    here = setting(seed=7, loss="balanced_softmax")
    trained, curve, _ = run("base", here)
    real = real_part(everything()[0])
    network = build("small_cnn", 4, 16, derive("weights", 7))
    sampler = instance_uniform(real.labels, RECIPE.batch, derive("batches", 7))
    batches = Batches(real, 4, 16, sampler, RECIPE, derive("steps", 7), torch.device("cpu"))
    objective = make_objective(replace(METHOD, loss="balanced_softmax"), COUNTS, None)
    expected, expected_curve = fit(network, batches, here.validation, objective, None, "by hand")
    assert curve == expected_curve
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in expected.state_dict().items())
