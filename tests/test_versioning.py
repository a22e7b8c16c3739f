"""Data versioning as its users meet it: push and pull, old commits, cleaning up, links, two runs at once, a queue."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.micro import AFTER_SYNTH_GUIDED, OBSERVERS, commit, dvc, environment, ran, results, run, set_parameters
from tests.small import run as run_stage

pytestmark = pytest.mark.slow


def outputs_in(repository: Path) -> list[Path]:
    files = (path for path in (repository / "data").glob("*/**/*") if path.is_file())
    return [path for path in files if path.relative_to(repository).parts[1] != "raw"]


def copy(source: Path, target: Path) -> Path:
    """The repository with its history, its cache, and its links into that."""
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--archive", source, target], check=True)
    return target


@pytest.fixture(scope="module")
def versions(micro, tmp_path_factory) -> tuple[Path, dict[str, dict[str, str]]]:
    """A repository with a commit per feedback, `loss` after `entropy`, and the results of each. Tests leave it so."""
    root = copy(micro.root, tmp_path_factory.mktemp("versions") / "repository")
    commit(root)
    known = {"entropy": results(root)}
    set_parameters(root, {"feedback": "loss"})
    assert ran(dvc(root, "repro")) == [*AFTER_SYNTH_GUIDED, *OBSERVERS]
    commit(root)
    known["loss"] = results(root)
    assert known["loss"] != known["entropy"]
    return root, known


@pytest.fixture
def repository(versions, tmp_path) -> Path:
    return copy(versions[0], tmp_path / "repository")


def test_what_was_pushed_comes_back_elsewhere_earlier_settings_included(versions, repository):
    known = versions[1]
    dvc(repository, "remote", "add", "--default", "store", "../store")
    commit(repository)
    run(repository, sys.executable, "-m", "commands.push")
    clone = repository.with_name("clone")
    run(repository, "git", "clone", "--quiet", ".", str(clone))
    shutil.rmtree(repository)

    dvc(clone, "pull", "--run-cache")
    assert results(clone) == known["loss"]
    assert "up to date" in dvc(clone, "status")
    assert ran(dvc(clone, "repro")) == []
    set_parameters(clone, {"feedback": "entropy"})
    assert set(ran(dvc(clone, "repro", "--pull"))) <= set(OBSERVERS)
    assert results(clone) == known["entropy"]


def test_pushing_nowhere_says_how_to_name_a_place(repository):
    said = run(repository, sys.executable, "-m", "commands.push", fails=True)
    assert said.startswith("error: cannot push") and "dvc remote add -d" in said and "Traceback" not in said


def test_an_old_commit_brings_its_images_and_metrics_back_also_after_cleaning_up(versions, repository):
    known = versions[1]
    dvc(repository, "gc", "--force", "--all-commits", "--all-experiments")
    branch = run(repository, "git", "branch", "--show-current").strip()
    for revision, feedback in [("HEAD~1", "entropy"), (branch, "loss")]:
        run(repository, "git", "checkout", "--quiet", revision)
        dvc(repository, "checkout")
        assert results(repository) == known[feedback]
        assert ran(dvc(repository, "repro")) == []

    dvc(repository, "gc", "--force", "--workspace")
    run(repository, "git", "checkout", "--quiet", "HEAD~1")
    dvc(repository, "checkout", fails=True)


def test_no_image_is_on_the_disk_twice(versions, repository):
    dvc(repository, "repro", "--force", "--single-item", "merge_balance@guided")  # the same bytes, again
    stored = {path.stat().st_ino for path in (repository / ".dvc/cache").rglob("*") if path.is_file()}
    files = outputs_in(repository)
    assert len(files) > 20
    assert [path for path in files if path.stat().st_ino not in stored] == []
    assert [path for path in files if path.stat().st_mode & 0o222] == []  # writing would change the cache


def test_a_cache_elsewhere_is_linked_and_every_stage_reads_through_the_links(micro, tmp_path, monkeypatch):
    root = copy(micro.root, tmp_path / "repository")
    dvc(root, "config", "--local", "cache.type", "symlink")  # as where hard links cannot lead
    dvc(root, "cache", "dir", "--local", str(tmp_path / "cache"))
    shutil.move(root / ".dvc/cache", tmp_path / "cache")
    dvc(root, "checkout", "--relink")
    assert all(path.is_symlink() for path in outputs_in(root))

    monkeypatch.chdir(root)
    before = results()
    for stage, *arm in [
        ("train_base",),
        ("synth_guided",),
        ("merge_balance", "guided"),
        ("retrain", "guided"),
        ("eval_fid_density_coverage",),
        ("eval_acc",),
        ("summarise",),
        ("draw_sheets",),
    ]:
        run_stage(stage, monkeypatch, *arm)
        assert results() == before
    assert (root / "data/synth/synaug/index.jsonl").is_symlink()


def test_of_two_runs_at_once_one_is_told_to_wait_and_nothing_is_lost(versions, repository):
    before, first = results(repository), ["repro", "--force", "--single-item", "synth_synaug"]
    with subprocess.Popen(
        [sys.executable, "-m", "dvc", *first], cwd=repository, env=environment(repository), stdout=subprocess.DEVNULL
    ) as running:
        busy = repository / ".dvc/tmp/rwlock"
        while running.poll() is None and not (busy.exists() and "data/synth/synaug" in busy.read_text()):
            time.sleep(0.05)
        said = dvc(repository, "repro", "--force", fails=True)
        assert f"(PID {running.pid})" in said and "rwlock" in said and "Traceback" not in said
    assert running.returncode == 0
    assert ran(dvc(repository, "repro")) == []
    assert results(repository) == before


def test_two_workers_of_a_queue_give_what_each_alone_would(versions, repository):
    known = versions[1]
    for feedback in ("entropy", "none"):
        dvc(repository, "exp", "run", "--queue", "--name", feedback, "--set-param", f"feedback={feedback}")
    dvc(repository, "queue", "start", "--jobs", "2")
    try:
        deadline = time.monotonic() + 600
        while re.search("Queued|Running", said := dvc(repository, "queue", "status")) and time.monotonic() < deadline:
            time.sleep(1)
    finally:
        dvc(repository, "queue", "stop", "--kill")
    assert said.count("Success") == 2
    assert results(repository) == known["loss"]  # where they came from is as it was
    for feedback in ("none", "entropy"):
        dvc(repository, "exp", "apply", feedback)
        assert "up to date" in dvc(repository, "status")
    assert results(repository) == known["entropy"]
