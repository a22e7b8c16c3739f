"""Files appear complete or not at all, and hashes name contents."""

import errno
import fcntl
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from src.runtime import files
from src.runtime.errors import InputError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    files.atomic_write(tmp_path / "a", b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space") as error:
        files.atomic_write(tmp_path / "a", b"new")
    assert error.value.filename == str(tmp_path / "a")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


def test_writing_replaces_a_linked_file_and_spares_its_twin(tmp_path):
    twin = tmp_path / "cache"
    twin.write_bytes(b"old")
    os.link(twin, tmp_path / "a")
    files.atomic_write(tmp_path / "a", b"new")
    assert twin.read_bytes() == b"old"


def test_json_returns_as_written_in_order_of_insertion(tmp_path):
    files.write_json(tmp_path / "sub" / "a.json", {"b": 1.5, "a": None})
    assert (tmp_path / "sub" / "a.json").read_text() == '{\n  "b": 1.5,\n  "a": null\n}\n'
    assert files.read_json(tmp_path / "sub" / "a.json") == {"b": 1.5, "a": None}


def test_nan_is_neither_written_nor_read(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"a": math.nan})
    (tmp_path / "b.json").write_text('{"a": NaN}')
    with pytest.raises(InputError, match="not valid JSON"):
        files.read_json(tmp_path / "b.json")
    assert not (tmp_path / "a.json").exists()


def test_a_missing_or_truncated_file_is_the_users_to_repair(tmp_path):
    (tmp_path / "cut.json").write_text('{"a": [1, 2')
    for name, problem in [("cut.json", "not valid JSON"), ("none.json", "is missing")]:
        with pytest.raises(InputError, match=problem):
            files.read_json(tmp_path / name)


def test_csv_has_the_union_of_the_columns_in_order(tmp_path):
    files.write_csv(tmp_path / "a.csv", [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25, "accuracy": 1.0}])
    assert (tmp_path / "a.csv").read_text() == "step,loss,accuracy\n1,0.5,\n2,0.25,1.0\n"


def test_a_tree_hash_depends_on_names_and_contents_alone(tmp_path):
    for folder, order in [("x", "ab"), ("y", "ba")]:
        for name in order:
            files.atomic_write(tmp_path / folder / "sub" / name, name.encode())
    same = files.hash_tree(tmp_path / "x")
    assert same == files.hash_tree(tmp_path / "y")
    (tmp_path / "x" / "sub" / "a").rename(tmp_path / "x" / "sub" / "c")
    files.atomic_write(tmp_path / "y" / "sub" / "a", b"c")
    assert len({same, files.hash_tree(tmp_path / "x"), files.hash_tree(tmp_path / "y")}) == 3


def test_a_single_file_hashes_as_its_contents(tmp_path):
    files.atomic_write(tmp_path / "a", b"a")
    assert files.hash_tree(tmp_path / "a") == files.hash_file(tmp_path / "a")


def test_a_file_that_a_killed_process_left_unfinished_is_removed_and_one_that_is_being_written_is_not(tmp_path):
    written_by(tmp_path, "file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL)
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]
    with files.writing(tmp_path / "a") as file:
        assert len(list(tmp_path.iterdir())) == 1  # this one, not that of the dead
        file.write(b"mine")
        written_by(tmp_path, "file.write(b'theirs')", 0)
        assert (tmp_path / "a").read_bytes() == b"theirs"
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"mine")]


def written_by(folder: Path, what: str, status: int) -> None:
    """Let another process write `folder`/a."""
    code = f"import os, signal\nfrom src.runtime import files\nwith files.writing('a') as file:\n    {what}"
    here = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, env=here).returncode == status


def test_a_writer_whose_file_was_taken_for_a_dead_ones_begins_again(tmp_path, monkeypatch):
    real, names = fcntl.flock, []

    def too_late(file: BinaryIO, how: int) -> None:
        if not names:
            names.append(file.name)
            os.unlink(file.name)
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", too_late)
    files.atomic_write(tmp_path / "a", b"whole")
    assert names and [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"whole")]


def test_files_are_written_where_there_are_no_locks_and_strangers_files_stay(tmp_path, monkeypatch):
    for name in (".a.tmp", f".b.{'0' * 32}.tmp"):
        (tmp_path / name).write_bytes(b"whose?")

    def unsupported(file: BinaryIO, how: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "no locks")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    files.atomic_write(tmp_path / "a", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a", ".a.tmp", f".b.{'0' * 32}.tmp"}


@pytest.mark.parametrize("text", ["1e-05", "1e5", "-2E+3", "1.5e-7", "1.e3"])
def test_a_number_that_dvc_writes_is_read_as_one(tmp_path, text):
    """YAML 1.1 takes these for text, YAML 1.2 and DVC do not: `-S recipes.digits.lr=1e-5` ends up as the first."""
    (tmp_path / "a.yaml").write_text(f"a: {text}\nb: '{text}'\nc: {text}x\n")
    assert files.read_yaml(tmp_path / "a.yaml") == {"a": float(text), "b": text, "c": f"{text}x"}


def test_a_trees_hash_has_what_lies_behind_a_linked_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/unet").symlink_to("../elsewhere")
    hashes = set()
    for content in ("one", "two"):
        (tmp_path / "elsewhere/weights").write_text(content)
        hashes.add(files.hash_tree(tmp_path / "tree"))
    assert len(hashes) == 2
