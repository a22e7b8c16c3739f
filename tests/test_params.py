"""A stage sees exactly the parameters that dvc.yaml declares for it."""

import copy
import json
import pickle

import pytest

from src import params
from src.errors import InputError

DVC = """
stages:
  plain:
    cmd: python -m stages.plain
    params: [seed, train.lr, train.loss]
  arms:
    matrix: {arm: [synaug, guided]}
    cmd: python -m stages.arms ${item.arm}
    params: ['datasets.${dataset}', 'dataset', 'train', "recipes.${synth.recipe}"]
  family:
    cmd: python -m stages.family
    params: ['budgets.${dataset}', 'datasets.${dataset}']
  each:
    foreach: [a, b]
    do:
      cmd: python -m stages.each ${item}
      params: [train, train.lr]
  none:
    cmd: python -m stages.none
  other:
    cmd: python -m stages.other
    params: [{other.yaml: [a]}]
  typo:
    cmd: python -m stages.typo
    params: [train.rate]
"""
PARAMS = """
seed: 3
dataset: digits
datasets:
  digits: {classes: 10, pose: {rotation: 20.0, scale: [0.7, 1.05]}}
  cifar: {classes: 100}
train: {lr: 0.05, loss: cross_entropy, decay: 0.0001, mixing: null}
synth: {recipe: short}
recipes: {short: {steps: 5}, long: {steps: 50}}
budgets: {digits: {per_class: 5}}
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "dvc.yaml").write_text(DVC)
    (tmp_path / "params.yaml").write_text(PARAMS)
    return tmp_path


def replace(root, old: str, new: str) -> None:
    assert old in PARAMS
    (root / "params.yaml").write_text(PARAMS.replace(old, new))


def test_declared_parameters_are_read_by_attribute_or_name(root):
    p = params.load("plain", root)
    assert (p.seed, p.train.lr, p["train"]["loss"]) == (3, 0.05, "cross_entropy")
    assert p.as_dict() == {"seed": 3, "train": {"lr": 0.05, "loss": "cross_entropy"}}


def test_an_undeclared_parameter_is_an_error_that_says_where_to_add_it(root):
    p = params.load("plain", root)
    for read in (lambda: p.train.decay, lambda: p["train"]["decay"]):
        with pytest.raises(InputError) as error:
            read()
        assert str(error.value) == (
            "stage 'plain' reads parameter 'train.decay', which dvc.yaml does not declare for it; add it under params"
        )
    with pytest.raises(InputError, match="'dataset'"):
        _ = p.dataset
    with pytest.raises(InputError, match="'seed'"):
        _ = params.load("none", root).seed


def test_the_chosen_preset_stands_under_its_selector(root):
    p = params.load("arms", root)
    assert (p.dataset.name, p.dataset.classes, p.dataset.pose.rotation, p.dataset.pose.scale) == (
        "digits",
        10,
        20.0,
        (0.7, 1.05),
    )
    assert p.train.mixing is None
    replace(root, "dataset: digits", "dataset: cifar")
    assert params.load("arms", root).dataset.as_dict() == {"name": "cifar", "classes": 100}


def test_a_field_that_the_preset_lacks_names_the_preset(root):
    replace(root, "dataset: digits", "dataset: cifar")
    with pytest.raises(InputError, match=r"'dataset.pose', which 'datasets.cifar' in params.yaml lacks; add it there"):
        _ = params.load("arms", root).dataset.pose


def test_a_selector_chooses_from_every_family_that_names_it(root):
    p = params.load("family", root)
    assert p.budget.as_dict() == {"name": "digits", "per_class": 5} and p.dataset.classes == 10
    with pytest.raises(InputError, match=r"'budget.fill', which 'budgets.digits' in params.yaml lacks; add it there"):
        _ = p.budget.fill
    replace(root, "dataset: digits", "dataset: cifar")
    with pytest.raises(InputError, match=r"unknown budget 'cifar'; params.yaml knows digits"):
        params.load("family", root)


def test_any_other_template_is_resolved_where_it_stands(root):
    assert params.load("arms", root).recipes.as_dict() == {"short": {"steps": 5}}


def test_a_whole_contains_its_parts_in_a_foreach_stage(root):
    assert params.load("each", root).train.as_dict() == params.load("arms", root).train.as_dict()


def test_an_unknown_preset_lists_the_known_ones(root):
    replace(root, "dataset: digits", "dataset: imagenet")
    with pytest.raises(InputError, match=r"unknown dataset 'imagenet'; params.yaml knows digits, cifar"):
        params.load("arms", root)


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        ("lr: 1e-4", "'train.lr' is the text '1e-4', not a number; write 0.0001"),
        ("lr: 2.5e5", "'train.lr' is the text '2.5e5', not a number; write 250000.0"),
        ("lr: .nan", "'train.lr' is nan; give it a finite number"),
        ("lr: nan", "'train.lr' is nan; give it a finite number"),
        ("lr: -.inf", "'train.lr' is -inf; give it a finite number"),
        ("lr: [0.1, .nan]", "'train.lr.1' is nan"),
    ],
)
def test_a_number_that_is_none_is_refused_by_name(root, new, problem):
    replace(root, "lr: 0.05", new)
    for stage in ("plain", "arms", "each"):
        with pytest.raises(InputError, match=problem):
            params.load(stage, root)


def test_a_bad_number_in_the_chosen_preset_is_refused_and_elsewhere_ignored(root):
    replace(root, "rotation: 20.0", "rotation: .nan")
    with pytest.raises(InputError, match=r"'dataset.pose.rotation' is nan"):
        params.load("arms", root)
    params.load("plain", root)


@pytest.mark.parametrize(
    ("stage", "problem"),
    [
        ("absent", "has no stage 'absent'; it has plain, arms"),
        ("other", "declares parameters of another file"),
        ("typo", "declares parameter 'train.rate' for stage 'typo', but params.yaml lacks it"),
    ],
)
def test_a_declaration_that_cannot_be_met_is_one_sentence(root, stage, problem):
    with pytest.raises(InputError, match=problem):
        params.load(stage, root)


@pytest.mark.parametrize(("text", "problem"), [("a: [", "not valid YAML near line 1"), ("", "holds no")])
def test_an_unreadable_file_is_one_sentence(root, text, problem):
    (root / "params.yaml").write_text(text)
    with pytest.raises(InputError, match=problem):
        params.load("plain", root)
    (root / "params.yaml").unlink()
    with pytest.raises(InputError, match="is missing"):
        params.load("plain", root)


def test_parameters_cannot_be_changed(root):
    p = params.load("plain", root)
    with pytest.raises(TypeError, match="read-only"):
        p.train.lr = 1.0
    p.as_dict()["train"]["lr"] = 1.0
    assert p.train.lr == 0.05


def test_parameters_can_be_hashed_copied_and_sent_to_workers(root):
    p = params.load("arms", root)
    assert json.dumps(p.as_dict()) == json.dumps(copy.deepcopy(p).as_dict())
    assert pickle.loads(pickle.dumps(p)).dataset.name == "digits"
    assert sorted(p) == ["dataset", "recipes", "train"] and "seed" not in p


def test_a_subclass_sees_every_read(root, monkeypatch):
    seen = set()

    class Recording(params.Params):
        def __getitem__(self, name):
            seen.add(f"{self._path}.{name}".lstrip("."))
            return super().__getitem__(name)

    monkeypatch.setattr(params, "Params", Recording)
    p = params.load("arms", root)
    assert (p.dataset.pose.rotation, p["train"].lr) == (20.0, 0.05)
    assert seen == {"dataset", "dataset.pose", "dataset.pose.rotation", "train", "train.lr"}
