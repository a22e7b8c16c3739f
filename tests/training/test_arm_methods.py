"""What each arm follows of the method (`train` of params.yaml), and that nothing of it is idle."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from src.classifiers.models import build
from src.runtime.errors import InputError
from src.runtime.seeds import derive
from src.settings.schema import Section, plain
from src.training import arms
from src.training.arms import train_real, train_synaug
from src.training.losses import LOSSES, log_prior, make_objective
from src.training.samplers import balanced_minibatches, class_uniform, minority_sampler
from src.training.second_stage import SECOND_STAGES, Task, second_stage
from src.training.weighting import WEIGHTINGS

from .fakes import METHOD, PARAMS, RECIPE, RETRAIN, STAGES, SYNAUG
from .scene import ARMS, COUNTS, MADE, SYNTHETIC, batches, everything, real_part, run, same_batches, setting


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_arm_has_the_methods_loss_whose_prior_is_that_of_the_real_counts(seen, arm, loss):
    """Also where synthetic images are added (Fill-Up); the head is the one that the loss is made for."""
    run(arm, setting(groups=True, loss=loss))
    objective, expected = seen["fit"]["objective"], make_objective(replace(METHOD, loss=loss), COUNTS, [1] * 8)
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
    assert np.array_equal(seen["fit"]["batches"].data.groups, trained_on.groups)
    run(arm, setting())
    assert seen["make_objective"]["group_counts"] is None and seen["fit"]["batches"].data.groups is None


def test_synthetic_images_of_unknown_context_are_trained_on_by_class_and_a_method_by_group_is_refused(seen):
    """Of text alone, by a budget that neither balances nor names contexts; validation keeps its groups."""
    data, synthetic = everything()
    here = setting(groups=True)
    train_synaug(here, data, synthetic, RETRAIN, SYNAUG, "group", None)
    assert seen["make_objective"]["group_counts"] is None and seen["fit"]["batches"].data.groups is None
    assert seen["fit"]["validation"] is here.validation and here.validation.groups is not None
    assert np.bincount(data.labels[np.concatenate(batches(seen["fit"]))]).tolist() == [10] * 4
    with pytest.raises(InputError, match=r"train\.loss=group_dro needs to know the context.*name_context=true"):
        train_synaug(setting(groups=True, loss="group_dro"), data, synthetic, RETRAIN, SYNAUG, "group", None)


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
        "guided": balanced_minibatches(data.labels[~synthetic], data.labels[synthetic], 8, 0.5, derive("batches", 2)),
        "synaug": class_uniform(data.labels, 8, derive("batches", 2)),
    }
    assert same_batches(seen["fit"], ours[arm])


def test_images_are_mixed_as_the_method_says_and_synaugs_as_it_says_itself(seen):
    here = setting(mixing="cutmix", mixing_alpha=1.0)
    for arm, expected in (("base", ("cutmix", 1.0)), ("guided", ("cutmix", 1.0)), ("synaug", ("mixup", 0.2))):
        run(arm, here)
        assert seen["fit"]["batches"].mixing == expected and seen["fit"]["batches"].mixing_sampler is None


@pytest.mark.parametrize("arm", SYNTHETIC)
def test_retrains_own_loss_and_mixing_replace_the_methods_but_not_synaugs_mixing(seen, arm):
    here = setting(loss="focal", mixing="cutmix", mixing_alpha=1.0)
    run(arm, here, loss="ldam", mixing="cmo")
    objective, expected = seen["fit"]["objective"], make_objective(replace(METHOD, loss="ldam"), COUNTS, None)
    assert objective.loss is expected.loss and torch.equal(objective.constants, expected.constants)
    assert seen["fit"]["model"].config["head"] == "cosine"
    assert seen["fit"]["batches"].mixing == {"guided": ("cmo", 1.0), "synaug": ("mixup", 0.2)}[arm]
    assert (seen["fit"]["batches"].mixing_sampler is None) == (arm == "synaug")
    with pytest.raises(InputError, match="lws rescales"):
        run(arm, here, loss="ldam", second_stage="lws")


@pytest.mark.parametrize("arm", ["base", "guided"])
def test_cmo_takes_its_foregrounds_from_what_is_trained_on_rare_classes_most(seen, arm):
    run(arm, setting(seed=4, mixing="cmo"))
    labels = seen["fit"]["batches"].data.labels
    second, expected = seen["fit"]["batches"].mixing_sampler, minority_sampler(labels, 8, derive("minority", 4))
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
            seen.pop("second_stage", None)
            run(arm, here, second_stage=name)
        if name == "none":
            assert "second_stage" not in seen
            continue
        task, real = seen["second_stage"]["task"], real_part(everything(groups=True)[0])
        assert seen["second_stage"]["name"] == name and task.settings is STAGES
        assert np.array_equal(task.real.images, real.images) and np.array_equal(task.real.labels, real.labels)
        assert task.validation is here.validation
        assert task.recipe == RECIPE and task.seed == derive("second stage", 5)


@pytest.mark.parametrize("arm", ARMS)
def test_a_second_stage_that_cannot_be_is_refused_before_anything_is_trained(seen, arm):
    def method(loss: str, name: str) -> None:
        run(arm, setting(loss=loss, second_stage=name if arm == "base" else "none"), second_stage=name)

    with pytest.raises(InputError, match="unknown second stage 'magic'; choose one of: none, crt"):
        method("cross_entropy", "magic")
    with pytest.raises(InputError, match=r"lws rescales a linear head, and the loss ldam trains a cosine head"):
        method("ldam", "lws")
    assert "fit" not in seen


def test_the_reference_meets_the_imbalance_by_nothing():
    mended = replace(METHOD, loss="ldam", weighting="drw", sampler="class", second_stage="crt", mixing="mixup")
    assert arms.without_balancing(mended) == replace(METHOD, mixing="mixup")
    assert arms.without_balancing(replace(mended, mixing="cmo")) == replace(METHOD, mixing="none")


def watched(section: Section) -> tuple[Any, set[str]]:
    """The same section, and the names of the fields that are read from it on."""
    names, read = plain(section).keys(), set()

    class Watched(type(section)):
        def __getattribute__(self, name: str) -> Any:
            if name in names:
                read.add(name)
            return super().__getattribute__(name)

    copy = object.__new__(Watched)
    vars(copy).update(vars(section))
    return copy, read


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
    method, read = watched(METHOD)
    train_real(replace(setting(), method=method), real_part(everything()[0]), None, "base")
    assert read == ALWAYS


@pytest.mark.parametrize("name", ONLY_WITH)
def test_a_parameter_of_one_choice_is_read_where_it_is_chosen(seen, name):
    method, read = watched(replace(METHOD, **ONLY_WITH[name]))
    here = replace(setting(groups=True), method=method)
    train_real(here, real_part(everything(groups=True)[0]), None, "base")
    assert name in read


@pytest.mark.parametrize("name", ONLY_WITH)
def test_synthetic_arms_follow_a_parameter_of_the_loss_and_have_no_weighting(seen, name):
    for arm in SYNTHETIC:
        objectives = []
        for value in (0.2, 0.7):
            run(arm, setting(groups=True, **ONLY_WITH[name], **{name: value}))
            objectives.append(seen["fit"]["objective"])
        kept = [{**dict(one.named_buffers()), "step": torch.tensor(getattr(one, "step", 0.0))} for one in objectives]
        same = all(torch.equal(value, kept[1][key]) for key, value in kept[0].items())
        assert same == ("weighting" in ONLY_WITH[name])


def test_every_second_stage_reads_all_its_settings_and_those_of_no_other():
    here, real = setting(), real_part(everything()[0])
    assert set(PARAMS["second_stages"]) <= set(SECOND_STAGES)
    for name in SECOND_STAGES:
        pairs = {stage: watched(getattr(STAGES, stage)) for stage in PARAMS["second_stages"]}
        settings = replace(STAGES, **{stage: section for stage, (section, _) in pairs.items()})
        second_stage(name, build("small_cnn", 4, 16, 0), Task(real, here.validation, RECIPE, settings, 0))
        for stage, (_, read) in pairs.items():
            assert read == (set(PARAMS["second_stages"][stage]) if stage == name else set())
