"""A stage sees exactly the parameters that dvc.yaml declares for it. Names are made up: kinds are another matter."""

import copy
import json
import pickle

import pytest
import yaml

from src.runtime.errors import InputError
from src.settings import checks, params
from src.versions.import_closure import ROOT

DVC = """
stages:
  plain:
    cmd: python -m stages.plain
    params: [seed, fitting.lr, fitting.loss]
  arms:
    matrix: {arm: [synaug, guided]}
    cmd: python -m stages.arms ${item.arm}
    params: ['subjects.${subject}', 'subject', 'fitting', "menus.${synth.menu}"]
  family:
    cmd: python -m stages.family
    params: ['purses.${subject}', 'subjects.${subject}']
  each:
    foreach: [a, b]
    do:
      cmd: python -m stages.each ${item}
      params: [fitting, fitting.lr]
  none:
    cmd: python -m stages.none
  other:
    cmd: python -m stages.other
    params: [{other.yaml: [a]}]
  typo:
    cmd: python -m stages.typo
    params: [fitting.rate]
"""
PARAMS = """
seed: 3
subject: digits
subjects:
  digits: {classes: 10, pose: {rotation: 20.0, scale: [0.7, 1.05]}}
  cifar: {classes: 100}
fitting: {lr: 0.05, loss: cross_entropy, decay: 0.0001, mixing: null}
synth: {menu: short}
menus: {short: {steps: 5}, long: {steps: 50}}
purses: {digits: {per_class: 5}}
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
    assert (p.seed, p.fitting.lr, p["fitting"]["loss"]) == (3, 0.05, "cross_entropy")
    assert p.as_dict() == {"seed": 3, "fitting": {"lr": 0.05, "loss": "cross_entropy"}}


def test_an_undeclared_parameter_is_an_error_that_says_where_to_add_it(root):
    p = params.load("plain", root)
    for read in (lambda: p.fitting.decay, lambda: p["fitting"]["decay"]):
        with pytest.raises(InputError) as error:
            read()
        assert str(error.value) == (
            "stage 'plain' reads parameter 'fitting.decay', which dvc.yaml does not declare for it; add it under params"
        )
    with pytest.raises(InputError, match="'subject'"):
        _ = p.subject
    with pytest.raises(InputError, match="'seed'"):
        _ = params.load("none", root).seed


def test_the_chosen_preset_stands_under_its_selector(root):
    p = params.load("arms", root)
    assert (p.subject.name, p.subject.classes, p.subject.pose.rotation, p.subject.pose.scale) == (
        "digits",
        10,
        20.0,
        (0.7, 1.05),
    )
    assert p.fitting.mixing is None
    replace(root, "subject: digits", "subject: cifar")
    assert params.load("arms", root).subject.as_dict() == {"name": "cifar", "classes": 100}


def test_a_field_that_the_preset_lacks_names_the_preset(root):
    replace(root, "subject: digits", "subject: cifar")
    with pytest.raises(InputError, match=r"'subject.pose', which 'subjects.cifar' in params.yaml lacks; add it there"):
        _ = params.load("arms", root).subject.pose


def test_a_selector_chooses_from_every_family_that_names_it(root):
    p = params.load("family", root)
    assert p.purse.as_dict() == {"name": "digits", "per_class": 5} and p.subject.classes == 10
    with pytest.raises(InputError, match=r"'purse.fill', which 'purses.digits' in params.yaml lacks; add it there"):
        _ = p.purse.fill
    replace(root, "subject: digits", "subject: cifar")
    with pytest.raises(InputError, match=r"unknown purse 'cifar'; params.yaml knows digits"):
        params.load("family", root)


def test_any_other_template_is_resolved_where_it_stands(root):
    assert params.load("arms", root).menus.as_dict() == {"short": {"steps": 5}}


def test_a_whole_contains_its_parts_in_a_foreach_stage(root):
    assert params.load("each", root).fitting.as_dict() == params.load("arms", root).fitting.as_dict()


def test_an_unknown_preset_lists_the_known_ones(root):
    replace(root, "subject: digits", "subject: imagenet")
    with pytest.raises(InputError, match=r"unknown subject 'imagenet'; params.yaml knows digits, cifar"):
        params.load("arms", root)


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        ("lr: '1e-4'", "'fitting.lr' is the text '1e-4', not a number; write 0.0001"),
        ("lr: '2.5e5'", "'fitting.lr' is the text '2.5e5', not a number; write 250000.0"),
        ("lr: .nan", "'fitting.lr' is nan; give it a finite number"),
        ("lr: nan", "'fitting.lr' is nan; give it a finite number"),
        ("lr: -.inf", "'fitting.lr' is -inf; give it a finite number"),
        ("lr: [0.1, .nan]", "'fitting.lr.1' is nan"),
    ],
)
def test_a_number_that_is_none_is_refused_by_name(root, new, problem):
    replace(root, "lr: 0.05", new)
    for stage in ("plain", "arms", "each"):
        with pytest.raises(InputError, match=problem):
            params.load(stage, root)


def test_a_bad_number_in_the_chosen_preset_is_refused_and_elsewhere_ignored(root):
    replace(root, "rotation: 20.0", "rotation: .nan")
    with pytest.raises(InputError, match=r"'subjects.digits.pose.rotation' is nan"):
        params.load("arms", root)
    params.load("plain", root)


@pytest.mark.parametrize(
    ("stage", "problem"),
    [
        ("absent", "has no stage 'absent'; it has plain, arms"),
        ("other", "declares parameters of another file"),
        ("typo", "declares parameter 'fitting.rate' for stage 'typo', but params.yaml lacks it"),
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
        p.fitting.lr = 1.0
    p.as_dict()["fitting"]["lr"] = 1.0
    assert p.fitting.lr == 0.05


def test_parameters_can_be_hashed_copied_and_sent_to_workers(root):
    p = params.load("arms", root)
    assert json.dumps(p.as_dict()) == json.dumps(copy.deepcopy(p).as_dict())
    assert pickle.loads(pickle.dumps(p)).subject.name == "digits"
    assert sorted(p) == ["fitting", "menus", "subject"] and "seed" not in p


def test_a_subclass_sees_every_read(root, monkeypatch):
    seen = set()

    class Recording(params.Params):
        def __getitem__(self, name):
            seen.add(f"{self._path}.{name}".lstrip("."))
            return super().__getitem__(name)

    monkeypatch.setattr(params, "Params", Recording)
    p = params.load("arms", root)
    assert (p.subject.pose.rotation, p["fitting"].lr) == (20.0, 0.05)
    assert seen == {"subject", "subject.pose", "subject.pose.rotation", "fitting", "fitting.lr"}


def test_every_parameter_of_this_repository_has_a_kind_and_agrees_with_it():
    everything = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, value in everything.items():
        presets = value.values() if name in ("datasets", "generators", "feedbacks", "budgets", "recipes") else [value]
        for preset in presets:
            checks.check_declared(name, preset)
            assert unknown(preset, checks.KINDS[name]) <= {"train"}  # whose names are those of classes


def unknown(value, kinds) -> set[str]:
    """Names in `value` of which `kinds` knows nothing."""
    if not isinstance(value, dict) or callable(kinds):
        return set()
    known = {name.removesuffix("?"): kind for name, kind in kinds.items()}
    return (set(value) - set(known)).union(*(unknown(value[name], known[name]) for name in set(value) & set(known)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"scale": "high"}, "feedbacks.entropy.scale must be a number, not 'high'"),
        ({"every": True}, "feedbacks.entropy.every must be a whole number, not True"),
        ({"every": 2.5}, "feedbacks.entropy.every must be a whole number, not 2.5"),
        ({"mix": "off"}, "feedbacks.entropy.mix must be true or false, not 'off'"),
        ({"rule": ["latent"]}, r"feedbacks.entropy.rule must be text, not \['latent'\]"),
        ({"scale": 10**400}, "feedbacks.entropy.scale must be finite"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_preset(change, sentence):
    preset = yaml.safe_load((ROOT / "params.yaml").read_text())["feedbacks"]["entropy"]
    checks.check_declared("feedbacks", preset, "feedbacks.entropy")
    with pytest.raises(InputError, match=sentence):
        checks.check_declared("feedbacks", {**preset, **change}, "feedbacks.entropy")
    name = next(iter(change))
    with pytest.raises(InputError, match=rf"params.yaml lacks feedbacks.entropy.{name}; add it there"):
        checks.check_declared("feedbacks", {key: preset[key] for key in preset if key != name}, "feedbacks.entropy")
