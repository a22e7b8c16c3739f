"""Experiments: named by what they are, and changed by what changes their results."""

import pytest
import yaml

from src.runtime.errors import InputError
from src.runtime.files import read_yaml
from src.studies.experiments import Experiment, experiment, fingerprint, made_here, override
from src.versions.import_closure import ROOT
from tests.reporting.made import commit, git


def test_settings_that_are_the_defaults_do_not_make_another_experiment():
    default = experiment({}, 7)
    assert experiment({"feedback": "entropy", "synth.image_dropout": 0.3}, 7) == default
    assert experiment({"feedback": "loss"}, 7).name != default.name != experiment({}, 8).name


def test_an_unknown_parameter_is_named():
    with pytest.raises(InputError, match=r"no parameter 'synth\.smell'"):
        experiment({"synth.smell": 1}, 0)


@pytest.mark.parametrize("value", [None, True, 3, 0.25, 1e-9, 1e20, "balanced_softmax", "0.5*entropy+0.5*loss"])
def test_dvc_reads_an_override_as_the_value_that_was_meant(value, tmp_path):
    from dvc.utils.hydra import apply_overrides

    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"a": {"b": "before"}}))
    apply_overrides(tmp_path / "params.yaml", [override("a.b", value)])
    assert read_yaml(tmp_path / "params.yaml") == {"a": {"b": value}}


def test_the_fingerprint_changes_with_what_a_stage_reads_and_with_nothing_else(tmp_path):
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    one = Experiment({"feedback": "loss"}, 3)
    before = fingerprint(one, tmp_path)
    assert before == fingerprint(one, tmp_path) != fingerprint(Experiment({}, 3), tmp_path)
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    params["feedbacks"]["hardness"]["scale"] = 99  # of a preset that is not chosen
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert fingerprint(one, tmp_path) == before
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/digits.yaml").write_text("new")
    assert fingerprint(one, tmp_path) != before


@pytest.fixture
def pipeline(tmp_path):
    """A repository with a stage that depends on two files, and the commit of an experiment in it."""
    stages = {"synth_guided": {"cmd": "x", "deps": ["src/a.py", "data/split"], "params": ["seed", "feedback"]}}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"dataset": "digits", "seed": 0, "feedback": "none"}))
    (tmp_path / "src").mkdir()
    for name in ("a.py", "b.py"):
        (tmp_path / "src" / name).write_text("first")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "start")
    return tmp_path


def experimented(root, **params):
    """The commit of an experiment with these parameters; the work tree is as before."""
    before = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(yaml.safe_dump({"dataset": "digits", "seed": 3, "feedback": "loss", **params}))
    made = commit(root, "an experiment")
    git(root, "reset", "--hard", "--quiet", "HEAD~1")
    assert (root / "params.yaml").read_text() == before
    return made


def test_an_experiment_is_of_this_code_if_what_stages_read_and_what_was_asked_are_the_same(pipeline):
    one, made = Experiment({"feedback": "loss"}, 3), experimented(pipeline)
    assert made_here(one, made, root=pipeline)
    assert not made_here(Experiment({"feedback": "loss"}, 4), made, root=pipeline)
    assert not made_here(one, experimented(pipeline, feedback="entropy"), root=pipeline)
    (pipeline / "src/b.py").write_text("second, which no stage reads")
    commit(pipeline, "elsewhere")
    assert made_here(one, made, root=pipeline)
    (pipeline / "src/a.py").write_text("second")
    commit(pipeline, "the stage's code")
    assert not made_here(one, made, root=pipeline)
