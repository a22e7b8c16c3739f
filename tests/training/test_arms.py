"""How each arm is trained: what its batches hold, what of the method it follows, which images its last layer sees."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from src.data.labelled import Labelled
from src.errors import InputError
from src.seeds import derive
from src.training import arms
from src.training.arms import Setting, train_guided, train_real, train_synaug
from src.training.loop import fit
from src.training.losses import LOSSES, log_prior, make_objective
from src.training.models import build
from src.training.samplers import SAMPLERS, class_uniform, half_and_half, instance_uniform, minority_sampler
from src.training.second_stage import SECOND_STAGES, second_stage
from src.training.weighting import WEIGHTINGS
from tests.closure import ROOT

from .fakes import RECIPE, corners

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
METHOD: dict[str, Any] = {
    **PARAMS["train"], "loss": "cross_entropy", "weighting": "none", "sampler": "instance", "mixing": "none",
    "second_stage": "none",
}  # fmt: skip
STAGES: dict[str, Any] = PARAMS["second_stages"]
RETRAIN = {"fraction_real": 0.5, "second_stage": "none"}
NO_LAST = {"mixing": "mixup", "mixing_alpha": 0.2, "last_layer": {"steps": 0, "batch": 4, "lr": 0.1}}
LAST = {**NO_LAST, "last_layer": {"steps": 3, "batch": 4, "lr": 0.1}}
PRESET: dict[str, Any] = {
    "name": "corners", "model": "small_cnn", "weights": None, "image_size": 16, "selection": "macro", **asdict(RECIPE)
}  # fmt: skip
COUNTS = [24, 12, 6, 2]  # real images of each class, all but two in context 0
MADE = 16  # synthetic ones of each class, half of them in each context


def everything(groups: bool = False) -> tuple[Labelled, np.ndarray]:
    """The real images, then the synthetic ones; and which are synthetic."""
    images, labels = corners(400, seed=0)
    real = np.concatenate([np.flatnonzero(labels == k)[:n] for k, n in enumerate(COUNTS)])
    made = np.concatenate([np.flatnonzero(labels == k)[-MADE:] for k in range(4)])
    chosen = np.concatenate([real, made])
    contexts = np.concatenate([np.isin(np.arange(len(real)), [0, 24]), np.arange(len(made)) % 2])
    of_groups = labels[chosen] * 2 + contexts if groups else None
    return Labelled(images[chosen], labels[chosen], of_groups), np.arange(len(chosen)) >= len(real)


def real_part(data: Labelled) -> Labelled:
    count = sum(COUNTS)
    return Labelled(data.images[:count], data.labels[:count], None if data.groups is None else data.groups[:count])


def setting(groups: bool = False, seed: int = 0, recipe: dict[str, Any] | None = None, **method: Any) -> Setting:
    images, labels = corners(16, seed=1)
    validation = Labelled(images, labels, labels * 2 + np.arange(16) // 4 % 2 if groups else None)
    real = real_part(everything(groups)[0])
    counts = np.bincount(real.groups, minlength=8).tolist() if real.groups is not None else None
    return Setting(
        {**PRESET, **(recipe or {})}, {**METHOD, **method}, STAGES, validation, COUNTS, counts, seed,
        torch.device("cpu"),
    )  # fmt: skip


def run(arm: str, here: Setting, balance: str = "class", **retrain: Any) -> arms.Trained:
    """The arm by its name, on everything or on the real part of it."""
    data, synthetic = everything(here.group_counts is not None)
    if arm == "base":
        return train_real(here, real_part(data), here.method, None, "base")
    if arm == "guided":
        return train_guided(here, data, synthetic, {**RETRAIN, **retrain}, balance, None)
    return train_synaug(here, data, synthetic, {**RETRAIN, **retrain}, LAST, balance, None)


ARMS = ("base", "guided", "synaug")
SYNTHETIC = ARMS[1:]


@pytest.fixture
def seen(monkeypatch) -> dict[str, dict[str, Any]]:
    """What reaches the functions that train, which then do nothing, and the one that makes the objective."""
    calls: dict[str, dict[str, Any]] = {}

    def note(name: str, words: tuple[str, ...], result: Callable[..., Any]) -> None:
        def noting(*values: Any, **named: Any) -> Any:
            calls[name] = {**dict(zip(words, values, strict=False)), **named}
            return result(*values)

        monkeypatch.setattr(arms, name, noting)

    words = "model images labels sampler recipe validation objective seed scratch describe"
    note("fit", tuple(words.split()), lambda model, *_: (model, [{"step": 1}]))
    note("retrain_last_layer", ("model", "images", "keys", "labels", "recipe", "seed"), lambda model, *_: model)
    note("second_stage", ("name", "model", "images", "labels"), lambda name, model, *_: model)
    note("make_objective", ("method", "counts", "group_counts"), make_objective)
    return calls


def batches(call: dict[str, Any], steps: int = 5) -> list[np.ndarray]:
    return [call["sampler"](step) for step in range(steps)]


def same_batches(call: dict[str, Any], expected: Callable[[int], np.ndarray]) -> bool:
    return all(np.array_equal(batch, expected(step)) for step, batch in enumerate(batches(call)))


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
@pytest.mark.parametrize("loss", LOSSES)
def test_every_arm_has_the_methods_loss_whose_prior_is_that_of_the_real_counts(seen, arm, loss):
    """Also where synthetic images are added (Fill-Up); the head is the one that the loss is made for."""
    run(arm, setting(groups=True, loss=loss))
    objective, expected = seen["fit"]["objective"], make_objective({**METHOD, "loss": loss}, COUNTS, [1] * 8)
    assert type(objective) is type(expected) and objective.loss is expected.loss
    assert torch.equal(objective.constants, expected.constants)
    if loss == "balanced_softmax":
        assert torch.equal(objective.constants, log_prior(COUNTS))
    assert seen["fit"]["model"].config.get("head", "linear") == ("cosine" if loss == "ldam" else "linear")


@pytest.mark.parametrize("arm", ARMS)
def test_groups_are_counted_among_what_is_trained_on_synthetic_images_too(seen, arm):
    run(arm, setting(groups=True))
    data = everything(groups=True)[0]
    trained_on = real_part(data) if arm == "base" else data
    assert seen["make_objective"]["group_counts"] == np.bincount(trained_on.groups, minlength=8).tolist()
    assert seen["make_objective"]["counts"] == COUNTS
    assert np.array_equal(seen["fit"]["groups"], trained_on.groups)
    run(arm, setting())
    assert seen["make_objective"]["group_counts"] is None and seen["fit"]["groups"] is None


def test_synthetic_images_of_unknown_context_are_trained_on_by_class_and_a_method_by_group_is_refused(seen):
    """Of text alone, by a budget that neither balances nor names contexts; validation keeps its groups."""
    data, synthetic = everything()
    here = setting(groups=True)
    train_synaug(here, data, synthetic, RETRAIN, LAST, "group", None)
    assert seen["make_objective"]["group_counts"] is None and seen["fit"]["groups"] is None
    assert np.array_equal(seen["fit"]["validation_groups"], here.validation.groups)
    assert np.bincount(data.labels[np.concatenate(batches(seen["fit"]))]).tolist() == [10] * 4
    with pytest.raises(InputError, match=r"train\.loss=group_dro needs to know the context of synthetic images"):
        train_synaug(setting(groups=True, loss="group_dro"), data, synthetic, RETRAIN, LAST, "group", None)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_a_weighting_is_the_bases_alone_because_synthetic_batches_are_uniform_already(seen, name):
    here = setting(groups=True, weighting=name)
    run("base", here)
    expected = make_objective(here.method, COUNTS, here.group_counts)
    assert (seen["fit"]["objective"].weights is None) == (expected.weights is None) == (name == "none")
    assert expected.weights is None or torch.equal(seen["fit"]["objective"].weights, expected.weights)
    for arm in SYNTHETIC:
        run(arm, here)
        assert seen["fit"]["objective"].weights is None


@pytest.mark.parametrize("arm", SYNTHETIC)
def test_a_sampler_is_the_bases_alone_because_synthetic_arms_have_their_own(seen, arm):
    """By group, on data without any, it would be an error if it were made."""
    data, synthetic = everything()
    run(arm, setting(seed=2, sampler="subsample_group"))
    ours = {
        "guided": half_and_half(data.labels[~synthetic], data.labels[synthetic], 8, 0.5, derive("batches", 2)),
        "synaug": class_uniform(data.labels, 8, derive("batches", 2)),
    }
    assert same_batches(seen["fit"], ours[arm])


def test_images_are_mixed_as_the_method_says_and_synaugs_as_it_says_itself(seen):
    here = setting(mixing="cutmix", mixing_alpha=1.0)
    for arm, expected in (("base", ("cutmix", 1.0)), ("guided", ("cutmix", 1.0)), ("synaug", ("mixup", 0.2))):
        run(arm, here)
        assert seen["fit"]["mixing"] == expected and seen["fit"]["mixing_sampler"] is None


@pytest.mark.parametrize("arm", ["base", "guided"])
def test_cmo_takes_its_foregrounds_from_what_is_trained_on_rare_classes_most(seen, arm):
    run(arm, setting(seed=4, mixing="cmo"))
    labels = seen["fit"]["labels"]
    second, expected = seen["fit"]["mixing_sampler"], minority_sampler(labels, 8, derive("minority", 4))
    assert all(np.array_equal(second(step), expected(step)) for step in range(5))
    assert len(labels) == sum(COUNTS) + (4 * MADE if arm == "guided" else 0)


@pytest.mark.parametrize("name", SECOND_STAGES)
def test_the_second_stage_is_the_methods_for_the_base_and_retrains_for_synthetic_arms_on_real_images(seen, name):
    for arm in ARMS:
        if arm == "base":
            here = setting(groups=True, seed=5, second_stage=name)
            run(arm, here)
        else:
            here = setting(groups=True, seed=5, second_stage="crt" if name != "crt" else "dfr")
            run(arm, here, second_stage=name)
        call, real = seen["second_stage"], real_part(everything(groups=True)[0])
        assert call["name"] == name and call["settings"] == STAGES.get(name, {})
        assert np.array_equal(call["images"], real.images) and np.array_equal(call["labels"], real.labels)
        assert np.array_equal(call["groups"], real.groups)
        assert np.array_equal(call["validation"][1], here.validation.labels)
        assert np.array_equal(call["validation_groups"], here.validation.groups)
        assert call["recipe"] == RECIPE and call["seed"] == derive("second stage", 5)


@pytest.mark.parametrize("arm", ARMS)
def test_a_second_stage_that_cannot_be_is_refused_before_anything_is_trained(seen, arm):
    def method(loss: str, name: str) -> None:
        run(arm, setting(loss=loss, second_stage=name if arm == "base" else "none"), second_stage=name)

    with pytest.raises(InputError, match="unknown second stage 'magic'; choose one of: none, crt"):
        method("cross_entropy", "magic")
    with pytest.raises(InputError, match=r"lws rescales a linear head, and train\.loss ldam trains a cosine head"):
        method("ldam", "lws")
    assert "fit" not in seen


def test_the_reference_meets_the_imbalance_by_nothing():
    mended = {
        "loss": "ldam", "weighting": "drw", "sampler": "class", "second_stage": "crt", "mixing": "mixup"
    }  # fmt: skip
    assert arms.plain({**METHOD, **mended}) == {**METHOD, "mixing": "mixup"}


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
    assert arms.optimisation(PRESET, batch=4) == replace(RECIPE, batch=4)
    assert all(arms.optimisation(preset) for preset in PARAMS["recipes"].values())
    with pytest.raises(InputError, match="unknown schedule"):
        arms.optimisation(PRESET, schedule="zigzag")


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


class Watched(dict):
    """A mapping that notes the names that are looked up."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)


# What is read of `train` always, and what only under the choice that it belongs to.
ALWAYS = {"loss", "weighting", "sampler", "mixing", "mixing_alpha", "second_stage"}
ONLY_WITH = {
    "focal_gamma": {"loss": "focal"},
    "adjustment_tau": {"loss": "logit_adjustment"},
    "ldam_margin": {"loss": "ldam"},
    "balance_beta": {"weighting": "class_balanced"},
    "drw_from": {"weighting": "drw"},
    "group_dro_step": {"loss": "group_dro"},
    "group_dro_adjustment": {"loss": "group_dro"},
}


def test_a_parameter_of_train_is_always_read_or_belongs_to_one_choice(seen):
    assert {*ALWAYS, *ONLY_WITH} == set(PARAMS["train"]) and not ALWAYS & set(ONLY_WITH)
    method = Watched(METHOD)
    train_real(setting(), real_part(everything()[0]), method, None, "base")
    assert method.read == ALWAYS


@pytest.mark.parametrize("name", ONLY_WITH)
def test_a_parameter_of_one_choice_is_read_where_it_is_chosen(seen, name):
    method = Watched({**METHOD, **ONLY_WITH[name]})
    train_real(setting(groups=True), real_part(everything(groups=True)[0]), method, None, "base")
    assert name in method.read
    for arm in SYNTHETIC:  # they follow the loss and have no weighting
        changed = {**METHOD, **ONLY_WITH[name], name: "not a number"}
        if "loss" in ONLY_WITH[name]:
            with pytest.raises(InputError, match=f"train.{name} must be a number"):
                run(arm, setting(groups=True, **changed))
        else:
            run(arm, setting(groups=True, **changed))


def test_every_second_stage_reads_all_its_settings():
    here, real = setting(), real_part(everything()[0])
    assert set(STAGES) <= set(SECOND_STAGES)
    for name in SECOND_STAGES:
        settings = Watched(STAGES.get(name, {}))
        second_stage(
            name, build("small_cnn", 4, 16, 0), real.images, real.labels, recipe=RECIPE, settings=settings, seed=0,
            validation=(here.validation.images, here.validation.labels), groups=None, validation_groups=None,
        )  # fmt: skip
        assert settings.read == set(settings)
