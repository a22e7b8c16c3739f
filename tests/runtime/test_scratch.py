"""Interrupted work is found again, by its key, and published in one step."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from src.runtime.errors import InputError
from src.runtime.scratch import PUBLISHED, Scratch, shared


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


def test_the_same_key_finds_the_same_work_and_says_so_and_another_key_does_not(capsys):
    first = Scratch("synth", {"seed": 1, "scale": 0.5})
    (first.path / "half").write_text("done")
    assert capsys.readouterr().err == ""
    assert (Scratch("synth", {"scale": 0.5, "seed": 1}).path / "half").read_text() == "done"
    assert (
        capsys.readouterr().err == "note: synth takes up what an earlier run of the same parameters left unfinished\n"
    )
    assert not (Scratch("synth", {"seed": 2, "scale": 0.5}).path / "half").exists()
    assert json.loads((first.path / "key.json").read_text()) == {"seed": 1, "scale": 0.5}


def test_work_lies_in_the_main_repository_or_else_in_the_working_directory(root, monkeypatch):
    assert Scratch("a", {}).path.parent == root / ".dvc" / "tmp" / "scratch"
    monkeypatch.delenv("DVC_ROOT")
    monkeypatch.chdir(root / ".dvc")
    assert Scratch("a", {}).path.parent == root / ".dvc" / ".dvc" / "tmp" / "scratch"


@pytest.mark.parametrize("links", [True, False], ids=["one file system", "two file systems"])
def test_publishing_replaces_the_output_and_clears_the_work(root, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", _refuse)
    out = root / "data" / "out"
    out.mkdir(parents=True)
    (out / "stale").touch()
    scratch = Scratch("synth", {})
    (scratch.path / "shards" / "sub").mkdir(parents=True)
    (scratch.path / "shards" / "sub" / "a").write_text("new")
    scratch.publish("shards", out)
    assert [path.relative_to(out).as_posix() for path in out.rglob("*")] == ["sub", "sub/a"]
    assert not scratch.path.exists() and list(out.parent.iterdir()) == [out]


def test_named_files_become_the_outputs_contents(root):
    scratch = Scratch("train", {})
    for name in ("model", "config", "checkpoint"):
        (scratch.path / name).write_text(name)
    scratch.publish(["model", "config"], root / "out")
    assert sorted(path.name for path in (root / "out").iterdir()) == ["config", "model"]


def test_a_publish_that_fails_keeps_the_old_output_and_the_work(root, monkeypatch):
    scratch = Scratch("synth", {})
    for name in ("a", "b"):
        (scratch.path / name).write_text(name)
    (root / "out").mkdir()
    (root / "out" / "old").touch()
    monkeypatch.setattr(os, "link", _refuse)
    copy = shutil.copyfile

    def full(source, target):
        if source.name == "b":
            raise OSError(errno.ENOSPC, "full")
        return copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="full"):
        scratch.publish(["a", "b"], root / "out")
    assert (root / "out" / "old").exists() and (scratch.path / "a").exists()
    assert sorted(path.name for path in root.iterdir()) == [".dvc", "out"]


def test_publishing_what_is_not_there_is_refused(root):
    with pytest.raises(InputError, match="lacks model"):
        Scratch("train", {}).publish(["model"], root / "out")
    assert not (root / "out").exists()


def _refuse(source, target):
    raise OSError(errno.EXDEV, "another file system")


def test_temporary_files_of_killed_processes_are_not_published_and_do_not_stay(root):
    scratch = Scratch("train", {})
    (scratch.path / "model").mkdir()
    for name in ("weights", ".weights.77.tmp"):
        (scratch.path / "model" / name).write_text(name)
    (root / ".out.77.tmp").mkdir()
    (scratch.path.parent / f".{scratch.path.name}.77.tmp").mkdir()
    scratch.publish("model", root / "out")
    assert [path.name for path in (root / "out").iterdir()] == ["weights"]
    assert sorted(path.name for path in root.iterdir()) == [".dvc", "out"]
    assert list(scratch.path.parent.iterdir()) == [scratch.done]


def test_a_published_scratch_is_away_before_it_is_deleted(root, monkeypatch):
    """A process that still works in it must not find half of it."""
    monkeypatch.setattr(os, "link", _refuse)
    scratch = Scratch("synth", {})
    (scratch.path / "shards").mkdir()
    (scratch.path / "shards" / "a").touch()
    seen = []
    monkeypatch.setattr(shutil, "rmtree", lambda path, **how: seen.append((path.name[0], scratch.path.exists())))
    scratch.publish("shards", root / "out")
    assert seen == [(".", False)]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_damaged_key_file_stops_nothing(root, content):
    first = Scratch("synth", {"seed": 1})
    (first.path / "half").touch()
    (first.path / "key.json").write_bytes(content)
    assert (Scratch("synth", {"seed": 1}).path / "half").exists()
    assert json.loads((first.path / "key.json").read_text()) == {"seed": 1}


def test_leftovers_of_other_settings_stay_where_they_are(root):
    other, mine = Scratch("synth", {"seed": 1}), Scratch("synth", {"seed": 2})
    for scratch in (other, mine):
        (scratch.path / "shards").mkdir()
    (other.path / "shards" / "theirs").touch()
    mine.publish("shards", root / "out")
    assert list((root / "out").iterdir()) == [] and (other.path / "shards" / "theirs").exists()


def published(root, stage="synth"):
    """A scratch whose one file has become `out`."""
    scratch = Scratch(stage, {"seed": 1})
    (scratch.path / "shards").mkdir(exist_ok=True)
    (scratch.path / "shards" / "a").write_text("made")
    scratch.publish("shards", root / "out")
    assert not scratch.path.exists()
    return scratch


def test_what_was_published_is_found_again_if_dvc_was_killed_before_it_knew(root, capsys):
    scratch = published(root)
    shutil.rmtree(root / "out")  # as DVC does before it runs a stage again
    assert (Scratch("synth", {"seed": 1}).path / "shards" / "a").read_text() == "made"
    assert not scratch.done.exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("note: synth was finished by a run that DVC did not see the end of")


def locked(root, **changes):
    """Write the dvc.lock that knows `out`."""
    out = {"path": str(root / "out"), "hash": "md5", "md5": "0.dir", "size": len("made"), "nfiles": 1, **changes}
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"synth": {"outs": [out]}}}))


@pytest.mark.parametrize("where", ["output", "cache", "lock"])
def test_what_was_published_and_is_known_is_made_anew(root, monkeypatch, where):
    """With `dvc repro --force` the cache has it, or dvc.lock if the cache had it before; without DVC its place."""
    monkeypatch.chdir(root)
    scratch = published(root)
    if where == "cache":
        os.link(root / "out" / "a", root / "cache")
    if where == "lock":
        locked(root)
    if where != "output":
        shutil.rmtree(root / "out")
    assert list(Scratch("synth", {"seed": 1}).path.iterdir()) == [scratch.path / "key.json"]
    assert not scratch.done.exists()


@pytest.mark.parametrize("changes", [{"path": "else"}, {"size": 5}, {"nfiles": 2}])
def test_a_lock_that_knows_something_else_does_not_count(root, monkeypatch, changes):
    monkeypatch.chdir(root)
    scratch = published(root)
    locked(root, **changes)
    shutil.rmtree(root / "out")
    assert (Scratch("synth", {"seed": 1}).path / "shards" / "a").exists() and not scratch.done.exists()


@pytest.mark.parametrize("content", ["", "[]", "stages:", "3", "stages: {measured: {cmd: x}}"])
def test_a_lock_that_holds_no_stages_knows_nothing(root, monkeypatch, content):
    monkeypatch.chdir(root)
    published(root)
    (root / "dvc.lock").write_text(content)
    shutil.rmtree(root / "out")
    assert (Scratch("synth", {"seed": 1}).path / "shards" / "a").read_text() == "made"


def test_what_was_published_goes_when_another_stage_begins(root):
    """The next stage: DVC knows the output by then. A second model of the same stage does not mean that."""
    scratch = published(root)
    for seed in (1, 2):
        Scratch("synth-other", {"seed": seed}, make=False)
        Scratch("synth", {"seed": 2})
    assert scratch.done.exists()
    Scratch("synth-other", {"seed": 1})
    assert not scratch.done.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"1", b"[1]", b"{}"])
def test_a_damaged_note_of_what_was_published_means_starting_over(root, content):
    scratch = published(root)
    (scratch.done / PUBLISHED).write_bytes(content)
    assert list(Scratch("synth", {"seed": 1}).path.iterdir()) == [scratch.path / "key.json"]


@pytest.fixture
def worker(monkeypatch):
    """The second of two processes, from here on; called, it is the first again."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    return lambda: monkeypatch.setenv("RANK", "0")


def test_a_worker_waits_for_the_main_process_and_says_so_when_it_does_not_come(root, worker):
    refused = pytest.raises(InputError, match=r"no main process opened .* start synth without RANK")
    with refused, shared("synth", {}, root / "out", wait=0):
        pass
    assert list(root.iterdir()) == []


def test_a_worker_joins_an_open_scratch_and_leaves_a_published_one(root, worker, capsys):
    out, main_now = root / "out", worker
    main_now()
    with shared("synth", {}, out) as scratch:
        os.environ["RANK"] = "1"
        with shared("synth", {}, out, wait=0) as joined:
            assert joined.path == scratch.path
        (scratch.path / "shards").mkdir()
        scratch.publish("shards", out)
        with shared("synth", {}, out, wait=0) as joined:
            assert joined is None
        assert capsys.readouterr().err == "note: synth is finished already; nothing is left to do\n"
        # Under other settings, or when the output was removed to be made again, there is work to wait for.
        out.rmdir()
        for key in ({}, {"seed": 2}):
            with pytest.raises(InputError, match="no main process"), shared("synth", key, out, wait=0):
                pass
    assert sorted(path.name for path in scratch.path.parent.iterdir()) == [scratch.done.name, "synth.published"]


def test_the_first_of_two_main_processes_leaves_the_scratch_to_the_second(root):
    """As two queued experiments that need the same images at the same time."""
    with shared("synth", {}, root / "a") as first, shared("synth", {}, root / "b") as second:
        assert first.path == second.path
        (first.path / "shards").mkdir()
        (first.path / "shards" / "x").write_text("made")
        first.publish("shards", root / "a")
        assert first.path.exists()
        second.publish("shards", root / "b")
        assert not first.path.exists()
    assert (root / "a" / "x").read_text() == (root / "b" / "x").read_text() == "made"


def test_a_main_process_that_failed_does_not_keep_the_next_one_from_cleaning_up(root):
    with pytest.raises(KeyboardInterrupt), shared("synth", {}, root / "out") as scratch:
        raise KeyboardInterrupt
    with shared("synth", {}, root / "out") as scratch:
        (scratch.path / "shards").mkdir()
        scratch.publish("shards", root / "out")
    assert sorted(path.name for path in scratch.path.parent.iterdir()) == [scratch.done.name, "synth.published"]


def test_unfinished_work_of_other_code_is_not_taken_up(root, monkeypatch):
    """Half of the images by the old code and half by the new would belong to no commit."""
    monkeypatch.chdir(root)
    (root / "a.py").write_text("old")
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"synth": {"deps": ["a.py", "data"]}}}))
    first = Scratch("synth-guided", {"seed": 1}).path
    assert Scratch("synth-guided", {"seed": 1}).path == first and Scratch("other", {"seed": 1}).path.is_dir()
    (root / "a.py").write_text("new")
    assert Scratch("synth-guided", {"seed": 1}).path != first


WORKER = """
import sys
from pathlib import Path
from src.runtime.scratch import Scratch
scratch = Scratch("train", {"seed": 1})
(scratch.path / "model").write_text(sys.argv[1])
print(scratch.path, flush=True)
sys.stdin.readline()
scratch.publish(["model"], Path(sys.argv[1]))
"""


def _trains(root, name):
    """A process that trains the same thing, and waits for a word before it publishes; and where it works."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"DVC_ROOT": str(root), "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    return process, Path(process.stdout.readline().strip())


def test_two_experiments_with_the_same_training_do_not_take_each_others_folder(root):
    """As two workers of `dvc queue` may: the first to publish took the scratch folder away from under the other."""
    (first, there), (second, beside) = (_trains(root, str(root / name)) for name in "ab")
    assert there != beside
    for process, name in ((first, "a"), (second, "b")):
        said = process.communicate("go\n", timeout=60)[1]
        assert process.returncode == 0, said
        assert (root / name / "model").read_text() == str(root / name)
        assert ("works beside it" in said) is (name == "b")
    assert not there.exists() and not beside.exists()


def test_a_killed_trainings_folder_is_free_again(root):
    process, there = _trains(root, str(root / "a"))
    process.kill()
    process.communicate()
    scratch = Scratch("train", {"seed": 1})
    assert scratch.path == there and (there / "model").exists()
