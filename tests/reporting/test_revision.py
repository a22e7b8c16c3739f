"""Tests of how a revision is found and copied: the work tree, commits, experiments of DVC by their names."""

import os
import sys

import pytest

from commands import report
from src.reporting.revision import WORK_TREE, snapshot
from src.runtime.errors import InputError
from src.versions.git import experiments
from tests.reporting import made

BASELINE = "ab" + "0" * 38


@pytest.fixture
def root(tmp_path):
    return made.repository(tmp_path / "repository")


def experiment(root, name: str, baseline: str) -> str:
    """What `dvc exp run --name` leaves: a commit behind a ref of its own, with HEAD where it was."""
    made.change(root / "metrics/accuracy.json", "guided", "overall", value=0.5)
    commit = made.commit(root, f"Experiment {name}")
    made.git(root, "update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", commit)
    made.git(root, "reset", "--quiet", "--hard", "HEAD~1")
    return commit


def test_the_work_tree_is_copied_as_it_is_with_what_differs_from_the_commit(root, tmp_path):
    made.change(root / "metrics/accuracy.json", "guided", "overall", value=0.5)
    (root / "metrics/new.json").write_text("{}")
    (root / "data").mkdir()
    (root / "data/large.tar").write_text("not a result")
    made.without(root, "metrics/splits.json")
    revision = snapshot(root, None, tmp_path / "copy")
    assert revision.name == WORK_TREE and revision.commit == made.git(root, "rev-parse", "HEAD")
    assert set(revision.changed) == {"metrics/accuracy.json", "metrics/splits.json", "metrics/new.json"}
    assert '0.5' in (revision.folder / "metrics/accuracy.json").read_text()  # fmt: skip
    assert (revision.folder / "metrics/new.json").is_file() and not (revision.folder / "data").exists()
    assert not (revision.folder / "metrics/splits.json").exists()


def test_ignored_files_and_links_are_not_read(root, tmp_path):
    (root / ".gitignore").write_text("metrics/ignored.json\n")
    (root / "metrics/ignored.json").write_text("{}")
    os.symlink("/etc/passwd", root / "metrics/link.json")
    folder = snapshot(root, None, tmp_path / "copy").folder
    assert not (folder / "metrics/ignored.json").exists() and not (folder / "metrics/link.json").exists()


def test_a_commit_is_read_from_git_and_not_from_the_work_tree(root, tmp_path):
    before = (root / "metrics/accuracy.json").read_bytes()
    made.change(root / "metrics/accuracy.json", "guided", "overall", value=0.5)
    revision = snapshot(root, "HEAD", tmp_path / "copy")
    assert (revision.folder / "metrics/accuracy.json").read_bytes() == before
    assert revision.changed == () and revision.subject == "A healthy run" and revision.date.startswith("2")


def test_an_experiment_is_found_by_its_name(root, tmp_path):
    commit = experiment(root, "more-dropout", BASELINE)
    assert experiments(root) == {"more-dropout": [(BASELINE, f"refs/exps/ab/{'0' * 38}/more-dropout")]}
    revision = snapshot(root, "more-dropout", tmp_path / "copy")
    assert revision.commit == commit and "0.5" in (revision.folder / "metrics/accuracy.json").read_text()


def test_of_experiments_of_one_name_that_of_head_is_meant(root, tmp_path):
    experiment(root, "twice", BASELINE)
    head = made.git(root, "rev-parse", "HEAD")
    (root / "metrics/new.json").write_text("{}")
    made.git(root, "add", "--all")
    made.git(root, "stash", "--quiet")
    with pytest.raises(InputError, match="neither a commit nor an experiment here \\(experiments: twice\\)"):
        snapshot(root, "thrice", tmp_path / "none")
    wanted = experiment(root, "twice", head)
    assert snapshot(root, "twice", tmp_path / "copy").commit == wanted
    made.git(root, "update-ref", f"refs/exps/cd/{'1' * 38}/elsewhere", wanted)
    made.git(root, "update-ref", f"refs/exps/ef/{'2' * 38}/elsewhere", wanted)
    with pytest.raises(InputError, match="several commits have an experiment 'elsewhere'"):
        snapshot(root, "elsewhere", tmp_path / "other")


@pytest.mark.parametrize("name", ["no-such-thing", "--help", "", "HEAD:metrics", "a b; c"])
def test_a_name_of_nothing_is_one_sentence(root, tmp_path, name):
    with pytest.raises(InputError, match="neither a commit nor an experiment"):
        snapshot(root, name, tmp_path / "copy")


def test_a_commit_without_results_is_an_empty_folder(root, tmp_path):
    made.without(root, "metrics", "params.yaml", "dvc.lock")
    (root / "README.md").write_text("nothing else\n")
    made.commit(root, "No results")
    assert list(snapshot(root, "HEAD", tmp_path / "copy").folder.iterdir()) == []


def test_before_the_first_commit_and_outside_git_there_is_a_word_for_it(tmp_path):
    made.write_results(tmp_path / "young")
    with pytest.raises(InputError, match="no git repository"):
        snapshot(tmp_path / "young", None, tmp_path / "none")
    made.git(tmp_path / "young", "init", "--quiet")
    revision = snapshot(tmp_path / "young", None, tmp_path / "copy")
    assert revision.commit is None and revision.defaults == {} and (revision.folder / "metrics/accuracy.json").is_file()


def test_the_command_writes_both_files_and_says_so(root, tmp_path, monkeypatch, capsys):
    experiment(root, "more-dropout", BASELINE)
    monkeypatch.chdir(root)
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["report", "more-dropout", "--compare", "HEAD", "--out", str(out)])
    report.main()
    assert capsys.readouterr().out.count("wrote ") == 2
    assert (
        "more-dropout, commit" in (out / "index.html").read_text()
        and "## Comparison" in (out / "report.md").read_text()
    )
