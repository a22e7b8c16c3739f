"""What is kept of an experiment: its arms' accuracies, group measures and image quality, as git has them."""

import json
import os
import subprocess

import pytest

from src.runtime.errors import InputError
from src.runtime.machine import processor
from src.settings.arms import ARMS
from src.studies.experiments import Experiment
from src.studies.results import Results, measured, recorded
from src.studies.running import Outcome
from tests.reporting import made

EXPERIMENT = Experiment({"feedback": "loss"}, 1)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The commit of an experiment that DVC keeps as NAME, a run on data with contexts."""
    made.write_results(tmp_path)
    accuracy = made.accuracy()
    accuracy["base"] |= made.groups()
    (tmp_path / "metrics/accuracy.json").write_text(json.dumps(accuracy))
    (tmp_path / "metrics/validation").mkdir()
    for arm in ARMS:
        report = {key: value for key, value in accuracy[arm].items() if key not in ("per_class", "confusion")}
        (tmp_path / f"metrics/validation/{arm}.json").write_text(json.dumps({**report, "few": 0.125}))
    made.git(tmp_path, "init", "--quiet")
    commit = made.commit(tmp_path, "an experiment")
    made.git(tmp_path, "update-ref", f"refs/exps/55/{'5' * 38}/{EXPERIMENT.name}", commit)
    monkeypatch.chdir(tmp_path)
    return commit


def test_every_arms_measures_are_kept_and_what_was_not_measured_is_none(kept):
    arms = measured(kept)["arms"]
    base, guided = arms["base"], arms["guided"]
    assert (base["worst_group"], base["weighted_mean"], base["demographic_parity_difference"]) == (0.1, 0.5, 0.2)
    assert base["equalised_odds_difference"] is None and "fid" not in base
    assert guided["worst_group"] is None and guided["few"] == pytest.approx(0.75)
    assert (guided["fid"], guided["agreement"], guided["entropy"]) == (3.4, 0.9, 0.9)


def test_every_arms_accuracies_on_validation_are_kept_apart(kept):
    row = measured(kept)
    assert {row["validation"][arm]["few"] for arm in ARMS} == {0.125} and row["arms"]["guided"]["few"] != 0.125
    assert row["validation"]["base"]["worst_group"] == 0.1 and "fid" not in row["validation"]["guided"]


def test_difficulty_is_kept_where_it_was_measured(kept, tmp_path):
    assert measured(kept)["difficulty"] == {}
    (tmp_path / "metrics/difficulty_by_shot.json").write_text(json.dumps({"loss": {"real": {"few": 1.0}}}))
    commit = made.commit(tmp_path, "of code that measures it")
    assert measured(commit)["difficulty"] == {"loss": {"real": {"few": 1.0}}}


def test_a_row_says_by_whose_code_on_which_processor_and_how_fast(kept, tmp_path):
    results = Results(tmp_path / "rows.jsonl")
    results.add(Outcome(EXPERIMENT, 12.34, None), "inputs", "code", ())
    (row,) = map(json.loads, (tmp_path / "rows.jsonl").read_text().splitlines())
    assert (row["commit"], row["inputs"], row["code"]) == ("5" * 40, "inputs", "code")
    assert (row["processor"], row["seconds"], row["arithmetic"]) == (processor(), 12.3, "pinned")
    assert row["name"] == EXPERIMENT.name and results.get(EXPERIMENT.name) == row
    assert results.get("another") is None and row["sheets"] is False
    results.add(Outcome(EXPERIMENT, None, None), "inputs", "code", ())
    row = results.get(EXPERIMENT.name)
    assert row["processor"] is None and row["sheets"] is True  # where all stages ran


def test_an_experiment_that_dvc_does_not_keep_is_named(kept):
    with pytest.raises(InputError, match="keeps no experiment 's1-y'"):
        recorded("s1-y")


def test_a_commit_without_the_validation_split_is_no_experiment_of_today(kept, tmp_path):
    (tmp_path / "metrics/validation/guided.json").unlink()
    with pytest.raises(InputError, match=r"has no metrics/validation/guided\.json; remove the experiment"):
        measured(made.commit(tmp_path, "an older one"))


def test_a_damaged_file_of_results_is_one_sentence(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"name": "s1-x"}\n{cut')
    with pytest.raises(InputError, match="is damaged; restore it with git"):
        Results(tmp_path / "x.jsonl")


def test_of_experiments_of_one_name_the_latest_is_read(tmp_path):
    """Whatever the hashes of the commits that they start from are: refs are sorted by these."""
    (tmp_path / "a").touch()
    made.git(tmp_path, "init", "--quiet")
    older = made.commit(tmp_path, "older")
    tree = made.git(tmp_path, "rev-parse", f"{older}^{{tree}}")
    date = {**os.environ, "GIT_COMMITTER_DATE": "2099-01-01T00:00:00+00:00"}
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    command = ["git", *who, "commit-tree", tree, "-m", "newer"]
    written = subprocess.run(command, cwd=tmp_path, env=date, check=True, capture_output=True, text=True)
    newer = written.stdout.strip()
    made.git(tmp_path, "update-ref", f"refs/exps/ff/{'0' * 38}/s1-x", older)
    made.git(tmp_path, "update-ref", f"refs/exps/00/{'0' * 38}/s1-x", newer)
    assert recorded("s1-x", tmp_path) == ("00" + "0" * 38, newer)
