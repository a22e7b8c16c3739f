"""Files appear complete or not at all, and hashes name contents."""

import math
import os

import pytest

from src import files
from src.errors import InputError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    files.atomic_write(tmp_path / "a", b"old")

    def full(descriptor: int) -> None:
        raise OSError("no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        files.atomic_write(tmp_path / "a", b"new")
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
