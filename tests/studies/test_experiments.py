"""Experiments: named by what they are, and told to DVC in its own words."""

from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from src.runtime.errors import InputError
from src.runtime.files import read_yaml
from src.studies.experiments import experiment_of, override, overrides, parameters_of


def test_settings_that_are_the_defaults_do_not_make_another_experiment():
    default = experiment_of({}, 7)
    assert experiment_of({"feedback": "entropy", "synth.image_dropout": 0.3}, 7) == default
    assert experiment_of({"feedback": "loss"}, 7).name != default.name != experiment_of({}, 8).name


def test_other_defaults_change_no_name_and_are_overridden(tmp_path):
    """Rows of results are found by it."""
    params = read_yaml("params.yaml")
    other = {**params, "dataset": "folder", "generator": "sd21_unclip", "feedback": "hardness"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(other))
    for settings in ({}, {"feedback": "hardness"}, {"feedback": "none", "synth.image_dropout": 0.5}):
        here, there = experiment_of(settings, 7), experiment_of(settings, 7, tmp_path)
        assert here == there
        assert parameters_of(here) == parameters_of(there, tmp_path)
    assert overrides(experiment_of({"feedback": "hardness"}, 7), tmp_path) == {
        "dataset": "digits", "generator": "tiny_unclip", "seed": 7,
    }  # fmt: skip


def test_matched_feedback_of_a_study_is_by_entropy_unless_it_says_otherwise():
    """Rows are of the time when the preset asked for entropy."""
    plain = experiment_of({"feedback": "matched"}, 7)
    by_hardness = experiment_of({"feedback": "matched", "feedbacks.matched.criterion": "hardness"}, 7)
    for experiment, criterion in ((plain, "entropy"), (by_hardness, "hardness")):
        assert parameters_of(experiment)["feedbacks"]["matched"]["criterion"] == criterion
    assert plain == experiment_of({"feedback": "matched", "feedbacks.matched.criterion": "entropy"}, 7) != by_hardness
    assert overrides(experiment_of({"feedback": "none"}, 7)) == {"feedback": "none", "seed": 7}


def test_an_unknown_parameter_is_named():
    with pytest.raises(InputError, match=r"no parameter 'synth\.smell'"):
        experiment_of({"synth.smell": 1}, 0)


@pytest.mark.parametrize("value", [None, True, 3, 0.25, 1e-9, 1e20, "balanced_softmax", "0.5*entropy+0.5*loss"])
def test_dvc_reads_an_override_as_the_value_that_was_meant(value, tmp_path):
    from dvc.utils.hydra import apply_overrides

    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"a": {"b": "before"}}))
    apply_overrides(tmp_path / "params.yaml", [override("a.b", value)])
    assert read_yaml(tmp_path / "params.yaml") == {"a": {"b": value}}


@pytest.mark.parametrize("value", ["/data/mod\u00e8les", ["\u00e9"]])
def test_dvc_reads_letters_beyond_ascii_as_they_are(tmp_path: Path, value: object) -> None:
    (tmp_path / "params.yaml").write_text("x: 0\n")
    apply_overrides(tmp_path / "params.yaml", [override("x", value)])
    assert read_yaml(tmp_path / "params.yaml") == {"x": value}
