"""Settings of params.yaml that no stage can work with: one sentence, exit code 2, and nothing written.

Most are refused when the parameters are loaded, which needs no stage to be seen; that each stage loads them before it
touches anything, is a test of its own. A recipe's and a method's limits are in tests/training/test_optimisation.py.
"""

from typing import Any

import pytest

from src.classifiers.models import build, save
from src.runtime.errors import InputError
from src.runtime.pipeline import declared
from src.settings.params import resolve
from tests.micro import ROOT, SETTINGS, arms, put, read_yaml, set_parameters
from tests.wrong_input.running import edit, stopped

SHORT = {"budgets.digits.fill": "up_to", "budgets.digits.per_class": 30}
TINY = "generators.tiny_unclip"
PIPELINE = read_yaml(ROOT / "dvc.yaml")
STAGES = {
    f"{name} {arm}".rstrip(): declared(name, PIPELINE, arm or None)
    for name, entry in PIPELINE["stages"].items()
    for arm in arms(entry)
}

REFUSED = [
    ("prepare_lt", {"dataset": "imagenet"}, "unknown dataset 'imagenet'; params.yaml knows digits"),
    ("synth_guided", {"generator": "dalle"}, "unknown generator 'dalle'; params.yaml knows tiny_unclip"),
    ("synth_synaug", {"generator": "dalle"}, "unknown generator 'dalle'; params.yaml knows tiny_unclip"),
    ("synth_guided", {"feedback": "applause"}, "unknown feedback 'applause'; params.yaml knows none, loss"),
    ("prepare_lt", {"datasets.digits.imbalance_factor": float("nan")}, "imbalance_factor must be finite, not nan"),
    ("train_base", {"recipes.digits.lr": "0.0001"}, "lr is the text '0.0001', not a number; write 0.0001 in"),
    ("synth_guided", {"synth.shard_size": 0}, "must be at least 1"),
    ("synth_guided", {"synth.image_dropout": 1.5}, "synth.image_dropout=1.5 must lie in [0, 1)"),
    ("synth_guided", {"feedbacks.entropy.every": 0}, "feedback needs every >= 1"),
    ("synth_guided", {"generators.tiny_unclip.compile": "yes"}, "compile must be true or false, not 'yes'"),
    ("synth_guided", {"feedbacks.entropy.stop_gradient": "yes"}, "stop_gradient must be true or false, not 'yes'"),
    ("prepare_lt", {"seed": 1.5}, "seed must be a whole number, not 1.5"),
    ("prepare_lt", {"seed": {"a": 1}}, "params.yaml must give seed as one value, not as `name: value` lines"),
    ("prepare_lt", {"seed": True}, "seed must be a whole number, not True"),
    ("prepare_lt", {"datasets.digits.image_size": -32}, "image_size must be at least 8, not -32"),
    ("prepare_lt", {"datasets.digits.image_size": 100_000}, "digits.image_size must be at most 512, not 100000"),
    ("prepare_lt", {"datasets.digits.image_size": [32, 32]}, "image_size must be a whole number, not [32, 32]"),
    ("prepare_lt", {"datasets.digits.pose": 22}, "datasets.digits.pose must hold `name: value` lines, not 22"),
    ("prepare_lt", {"datasets.digits.pose.scale_min": 2}, "must satisfy 0 < scale_min <= scale_max, not 2 and 1.08"),
    ("prepare_lt", {"datasets.digits.pose.shear": -6}, "rotation, shift and shear are half-ranges: zero or positive"),
    ("prepare_lt", {"datasets.digits.kind": "digit"}, "for datasets.digits 'digit'; choose one of: digits"),
    ("prepare_lt", {"datasets.digits.val_per_class": 0}, "val_per_class must be at least 1, not 0"),
    ("prepare_lt", {"datasets.digits.head_count": None}, "head_count must be a whole number, not None"),
    ("train_base", {"recipes.digits.batch": 1e2}, "recipes.digits.batch must be a whole number, not 100.0"),
    ("train_base", {"recipes.digits.lr": -0.1}, "lr must be positive, not -0.1"),
    ("train_base", {"recipes.digits.lr": 1e300}, "lr must be below 1e30, for float32, not 1e+300"),
    ("train_base", {"recipes.digits.milestones": 3}, "recipes.digits.milestones must be a list, not 3"),
    ("train_base", {"recipes.digits.milestones": [1, "two"]}, "milestones.1 must be a number, not 'two'"),
    ("train_base", {"recipes.digits.model": ["resnet18"]}, "recipes.digits.model must be text, not ['resnet18']"),
    ("train_base", {"recipes.digits.image_size": -8}, "recipes.digits.image_size must be at least 1, not -8"),
    ("train_base", {"recipes.digits.weights": True}, "recipes.digits.weights must be text, not True"),
    ("train_base", {"train.sampler": None}, "train.sampler must be text, not None"),
    ("retrain guided", {"retrain.fraction_real": "half"}, "retrain.fraction_real must be a number, not 'half'"),
    ("retrain synaug", {"synaug.last_layer": 100}, "synaug.last_layer must hold `name: value` lines, not 100"),
    ("train_base", {"second_stages.dfr.strengths": 1.0}, "second_stages.dfr.strengths must be a list, not 1.0"),
    ("synth_guided", {"budgets.digits.per_class": 2.5}, "budgets.digits.per_class must be a whole number, not 2.5"),
    ("synth_guided", {"budgets.digits.name_context": "yes"}, "name_context must be true or false, not 'yes'"),
    ("synth_guided", {"synth": 5}, "synth must hold `name: value` lines, not 5"),
    ("synth_guided", {"synth.shard_size": 2.5}, "synth.shard_size must be a whole number, not 2.5"),
    ("synth_guided", {"synth.image_dropout": "much"}, "synth.image_dropout must be a number, not 'much'"),
    ("synth_guided", {"synth.conditioning": None}, "synth.conditioning must be text, not None"),
    ("synth_guided", {"feedbacks.entropy.scale": "high"}, "feedbacks.entropy.scale must be a number, not 'high'"),
    ("synth_guided", {"feedbacks.entropy.scale": None}, "feedbacks.entropy.scale must be a number, not None"),
    ("synth_guided", {"feedbacks.entropy.first": 4, "feedbacks.entropy.last": 2}, "0 <= first <= last"),
    ("synth_guided", {"feedback": "matched", "feedbacks.matched.target": "ideal"}, "real or, left empty, to none"),
    ("synth_guided", {"feedback": "matched", "feedbacks.matched.pilot": 0}, "matched.pilot must be at least 1, not 0"),
    ("synth_guided", {"feedback": "loss", "feedbacks.loss.pilot": 4}, "set target to real, or no pilot"),
    ("synth_guided", {"feedback": "chamfer", "feedbacks.chamfer.criterion": "loss"}, "'loss' judges each image alone"),
    ("synth_guided", {"generator": "pool", "generators.pool.pool": "yes"}, "pool must be true or false, not 'yes'"),
    ("synth_guided", {f"{TINY}.path": None}, "generators.tiny_unclip.path must be text, not None"),
    ("synth_guided", {f"{TINY}.steps": 0}, "tiny_unclip.steps must be at least 1, not 0"),
    ("synth_guided", {f"{TINY}.steps": 5000}, "tiny_unclip.steps must be at most 1000, not 5000"),
    ("synth_guided", {f"{TINY}.guidance_scale": None}, "guidance_scale must be a number, not None"),
    ("synth_guided", {f"{TINY}.image_size": -8}, "image_size must be at least 1, not -8"),
    ("synth_guided", {f"{TINY}.adapter": "ip"}, "tiny_unclip.adapter must hold `name: value` lines, not 'ip'"),
    ("eval_fid_density_coverage", {"evaluation.features": "clip"}, "evaluation.features must be a list, not 'clip'"),
    ("retrain guided", {"retrain.length": 0}, "retrain.length must be at least 0.01, not 0"),
    ("eval_fid_density_coverage", {"evaluation.nearest_k": 0}, "evaluation.nearest_k must be at least 1, not 0"),
]  # fmt: skip
CASES = [
    ("prepare_lt", {"datasets.digits.imbalance_factor": 61}, "it can be at most 60"),
    ("prepare_lt", {"datasets.digits.imbalance_factor": 0.5}, "at least 1"),
    ("prepare_lt", {"datasets.digits.head_count": 500}, "lower the head count"),
    ("prepare_lt", {"datasets.digits.test_per_class": 200}, "lower test_per_class"),
    ("train_base", {"recipes.digits.model": "vgg"}, "unknown model 'vgg'; choose one of: small_cnn"),
    ("train_base", {"recipes.digits.schedule": "zigzag"}, "unknown schedule 'zigzag'; choose one of: "),
    ("train_base", {"recipes.digits.augment": "smudge"}, "unknown augment 'smudge'; choose one of: none, shift"),
    ("train_base", {"recipes.digits.selection": "luck"}, "unknown selection 'luck'; choose one of: macro"),
    ("train_base", {"recipes.digits.selection": "worst_group"}, "worst_group needs groups"),
    ("train_base", {"train.loss": "hinge"}, "unknown loss 'hinge'; choose one of: cross_entropy, focal"),
    ("train_base", {"train.weighting": "fair"}, "unknown weighting 'fair'; choose one of: none, class_balanced"),
    ("train_base", {"train.sampler": "dice"}, "unknown sampler 'dice'; choose one of: instance, class"),
    ("train_base", {"train.second_stage": "third"}, "unknown second stage 'third'; choose one of: none, crt"),
    ("train_base", {"train.loss": "group_dro"}, "train.loss group_dro works by group, and this data set has no"),
    ("train_base", {"train.sampler": "group"}, "train.sampler group works by group, and this data set has no"),
    ("train_base", {"train.weighting": "inverse_group"}, "train.weighting inverse_group works by group"),
    ("retrain guided", {"train.loss": "group_dro"}, "train.loss group_dro works by group, and this data set"),
    ("retrain synaug", {"retrain.second_stage": "third"}, "unknown second stage 'third'; choose one of: none, crt"),
    ("train_base", {"train.mixing": "blend"}, "unknown mixing 'blend'; choose one of: none, mixup, cutmix"),
    ("retrain synaug", {"synaug.mixing": "blend"}, "unknown mixing 'blend'; choose one of: none, mixup, cutmix"),
    ("synth_guided", SHORT, "per_class=30 is below the head count 60"),
    ("synth_synaug", SHORT, "per_class=30 is below the head count 60"),
    ("synth_guided", {"budgets.digits.fill": "sideways"}, "unknown budget fill 'sideways'; choose one of: add, up_to"),
    ("synth_guided", {"budgets.digits.per_class": 0}, "set it to at least 1"),
    ("synth_guided", {"budgets.digits.balance": "mood"}, "unknown budget balance 'mood'; choose one of: class, group"),
    ("synth_guided", {"budgets.digits.empty_group": "x"}, "unknown budget empty_group 'x'; choose one of: class, text"),
    ("synth_guided", {"budgets.digits.balance": "group"}, "this data has no contexts; set the budget's balance"),
    ("synth_synaug", {"budgets.digits.name_context": True}, "this data has no contexts; set the budget's balance"),
    ("merge_balance synaug", {"merge.replace_fraction": 1}, "raise budgets.<dataset>.per_class, or lower merge"),
    ("merge_balance guided", {"budgets.digits.balance": "group"}, "needs real and synthetic images with contexts"),
    ("synth_guided", {"synth.conditioning": "smell"}, "choose one of: text, image, text_image"),
    (
        "synth_guided",
        {"feedback": "matched", "feedbacks.matched.pilot": 4, "online.rounds": 3},
        "one classifier, and online rounds have several; set online.rounds=1",
    ),
    ("synth_guided", {"feedback": "matched", "budgets.digits.balance": "group"}, "others than its own group's"),
    ("synth_guided", {"feedbacks.entropy.criterion": "joy"}, "'joy' is unknown; choose one of none, chamfer, loss"),
    ("synth_guided", {"feedbacks.entropy.rule": "polite"}, "choose one of: latent, score"),
    ("synth_guided", {"generators.tiny_unclip.scheduler": "euler"}, "unknown scheduler 'euler'; choose one of: ddim"),
    ("synth_guided", {"generators.tiny_unclip.scheduler": "unipc"}, "use ddim or dpmpp_2m"),
    ("synth_guided", {"generators.tiny_unclip.noise_level": 1000}, "must lie in 0..999"),
    ("eval_fid_density_coverage", {"evaluation.nearest_k": 20}, "below the 20 images of 'synaug'"),
    ("synth_guided", {"generators.tiny_unclip.path": "models/absent"}, "no model_index.json"),
    ("synth_guided", {"generators.tiny_unclip.precision": "float16"}, "precision=float16 needs a GPU"),
    ("synth_synaug", {"generators.tiny_unclip.precision": "int8"}, "unknown precision 'int8'; choose one of: auto"),
    ("synth_synaug", {"generators.tiny_unclip.image_size": 36}, "image_size=36 must be a multiple of 8"),
    ("synth_guided", {"feedbacks.entropy.decoder": "quarter"}, "choose one of: full, half, tiny"),
    (
        "synth_guided",
        {"feedbacks.entropy.decoder": "tiny", "generators.tiny_unclip.tiny_decoder": None},
        "decoder=tiny needs the generator preset's tiny_decoder",
    ),
    ("train_base", {"recipes.digits.optimizer": "lion"}, "unknown optimizer 'lion'; choose one of: sgd"),
    ("train_base", {"recipes.digits.precision": "half"}, "unknown precision 'half'; choose one of: float32"),
    ("train_base", {"recipes.digits.model": "timm/vit_tiny"}, "unknown model 'timm/vit_tiny'; choose one of: small"),
    ("train_base", {"recipes.digits.image_size": 30}, "small_cnn needs an image size divisible by 8, not 30"),
    ("train_base", {"recipes.digits.image_size": 40}, "image_size=40 is above the 32 pixels that images are stored"),
    ("train_base", {"recipes.digits.weights": "none.pth"}, "the weights file none.pth is missing; put it there"),
    ("train_base", {"recipes.digits.weights": "IMAGENET1K_V1"}, "torchvision has no weights for small_cnn"),
    ("synth_guided", {"feedbacks.entropy.scale": 1e300}, "images hold NaN or infinity, which no pixel can"),
    ("synth_guided", {"feedbacks.entropy.criterion": "2*"}, "criterion '' is unknown; choose one of none, chamfer"),
    ("synth_guided", {"feedbacks.entropy.criterion": "much*loss"}, "must read <number>*<name>"),
    ("synth_guided", {"feedback": "hardness", "feedbacks.hardness.shrinkage": "none"}, "shrinkage"),
    ("synth_guided", {f"{TINY}.path": "params.yaml"}, "params.yaml has no model_index.json"),
    (
        "synth_guided",
        {f"{TINY}.tiny_decoder": "models/none", "feedbacks.entropy.decoder": "tiny"},
        "the tiny_decoder models/none lacks weights",
    ),
    ("eval_fid_density_coverage", {"evaluation.features": ["vgg"]}, "unknown feature space 'vgg'; choose one of"),
    (
        "eval_fid_density_coverage",
        {"evaluation.features": ["inception"], "evaluation.inception.path": "models/none.pth"},
        "models/none.pth",
    ),
]  # fmt: skip


@pytest.fixture
def everything() -> dict[str, Any]:
    """The contents of params.yaml."""
    params = read_yaml(ROOT / "params.yaml")
    put(params, SETTINGS)
    return params


def refused(stage: str, everything: dict[str, Any]) -> str:
    """What is said when the stage's parameters are taken from these."""
    name, *arm = stage.split()
    with pytest.raises(InputError) as error:
        resolve(name, PIPELINE, everything, *arm)
    return str(error.value)


@pytest.mark.parametrize(("stage", "changes", "sentence"), REFUSED)
def test_a_setting_that_cannot_be_is_one_sentence(stage, changes, sentence, everything):
    put(everything, changes)
    assert sentence in refused(stage, everything)


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "changes", "sentence"), CASES)
def test_a_wrong_setting_is_one_sentence_and_touches_nothing(stage, changes, sentence, workspace, capsys, monkeypatch):
    set_parameters(workspace, changes)
    assert sentence in stopped(stage, capsys, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [stage for stage, parameters in STAGES.items() if parameters])
def test_a_stage_loads_its_parameters_before_it_touches_anything(stage, workspace, capsys, monkeypatch):
    edit("params.yaml", lambda data: b"[")
    assert "params.yaml is not valid YAML" in stopped(stage, capsys, monkeypatch)


@pytest.mark.parametrize(
    ("stage", "name", "sentence"),
    [
        ("train_base", "recipes.digits.lr", "params.yaml lacks recipes.digits.lr; add it there"),
        ("train_base", "train.focal_gamma", "params.yaml lacks train.focal_gamma; add it there"),
        ("synth_guided", "feedbacks.entropy.scale", "params.yaml lacks feedbacks.entropy.scale; add it there"),
        ("synth_synaug", "budgets.digits.fill", "params.yaml lacks budgets.digits.fill; add it there"),
        ("retrain synaug", "synaug.last_layer.lr", "params.yaml lacks synaug.last_layer.lr; add it there"),
        ("eval_fid_density_coverage", "evaluation.features", "params.yaml lacks evaluation.features; add it there"),
        ("retrain guided", "second_stages", "parameter 'second_stages' for stage 'retrain', but params.yaml lacks it"),
    ],
)
def test_a_setting_that_is_not_there_is_named(stage, name, sentence, everything):
    *parents, last = name.split(".")
    node = everything
    for parent in parents:
        node = node[parent]
    del node[last]
    assert sentence in refused(stage, everything)


@pytest.mark.slow
def test_a_classifier_of_other_classes_than_the_data_is_one_sentence(workspace, capsys, monkeypatch):
    save(build("small_cnn", 7, 32, 0), "data/base")
    assert "data/base tells 7 classes apart, the data has 10" in stopped("synth_guided", capsys, monkeypatch)
