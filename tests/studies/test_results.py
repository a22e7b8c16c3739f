"""What is kept of an experiment: its arms' accuracies, group measures and image quality, as git has them."""

import json
import os
import subprocess

import pytest

from src.runtime.errors import InputError
from src.studies.results import Results, measured, revision
from tests.reporting import made


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A repository in which DVC keeps the experiment 's1-x', a run on data with contexts."""
    made.write_results(tmp_path)
    accuracy = made.accuracy()
    accuracy["base"] |= made.groups()
    (tmp_path / "metrics/accuracy.json").write_text(json.dumps(accuracy))
    made.git(tmp_path, "init", "--quiet")
    made.git(tmp_path, "update-ref", f"refs/exps/00/{'0' * 38}/s1-x", made.commit(tmp_path, "an experiment"))
    monkeypatch.chdir(tmp_path)


def test_every_arms_measures_are_kept_and_what_was_not_measured_is_none(kept):
    found = measured("s1-x")
    base, guided = found["base"], found["guided"]
    assert (base["worst_group"], base["weighted_mean"], base["demographic_parity_difference"]) == (0.1, 0.5, 0.2)
    assert base["equalised_odds_difference"] is None and "fid" not in base
    assert guided["worst_group"] is None and guided["few"] == pytest.approx(0.75)
    assert (guided["fid"], guided["agreement"], guided["entropy"]) == (3.4, 0.9, 0.9)


def test_an_experiment_that_dvc_does_not_keep_is_named(kept):
    with pytest.raises(InputError, match="keeps no experiment 's1-y'"):
        measured("s1-y")


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
    assert revision("s1-x", tmp_path) == newer
