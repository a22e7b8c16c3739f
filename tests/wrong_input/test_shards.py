"""Shards, their index, names and the merged index after bit rot, a half copy or a stray edit: one sentence each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.wrong_input.running import cut_in_half, edit, replaced, stopped

pytestmark = pytest.mark.slow
INDEX, TAR = "data/synth/guided/index.jsonl", "data/synth/guided/shard-00000.tar"
MERGED, NAMES = "data/merged/guided.csv", "data/real/names.json"


def spoil_an_image(folder: str) -> None:
    def change(data: bytes) -> bytes:
        start = data.index(b"IDAT") + 8
        return data[:start] + bytes(8) + data[start + 8 :]

    edit(f"{folder}/shard-00000.tar", change)


@pytest.mark.parametrize(
    ("folder", "stages"),
    [
        ("data/real/train", ["train_base", "synth_guided", "retrain guided"]),
        ("data/real/val", ["train_base", "retrain synaug", "eval_fid_density_coverage"]),
        ("data/synth/guided", ["retrain guided", "eval_fid_density_coverage", "export guided"]),
        ("data/real/test", ["eval_acc"]),
    ],
)
def test_a_shard_with_a_corrupt_image_is_named_with_the_image(folder, stages, workspace, capsys, monkeypatch):
    spoil_an_image(folder)
    for stage in stages:
        line = stopped(stage, capsys, monkeypatch)
        assert f"{folder}/shard-00000.tar is damaged at sample 00000000" in line and "make repair" in line


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("data/base/model.safetensors", "synth_guided"),
        ("data/retrained/guided/model.safetensors", "eval_acc"),
        ("data/reference/config.json", "eval_fid_density_coverage"),
        (MERGED, "retrain guided"),
        (INDEX, "merge_balance guided"),
        ("prompts/digits.yaml", "synth_synaug"),
        (NAMES, "train_base"),
    ],
)
def test_a_damaged_or_missing_input_is_named(path, stage, workspace, capsys, monkeypatch):
    cut_in_half(path)
    named = path if not path.endswith("model.safetensors") else str(Path(path).parent)
    assert named in stopped(stage, capsys, monkeypatch)
    Path(path).unlink()
    assert f"{path} is missing" in stopped(stage, capsys, monkeypatch)


def first(**changes: Any) -> Callable[[bytes], bytes]:
    """The index with its first entry changed."""

    def change(data: bytes) -> bytes:
        line, rest = data.split(b"\n", 1)
        return json.dumps({**json.loads(line), **changes}).encode() + b"\n" + rest

    return change


INDEXES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "no JSON": lambda data: b"{" + data,
    "a line cut short": lambda data: data[:-40],
    "numbers for entries": lambda data: b"1\n2\n",
    "a label that is a word": first(meta={"label": "three"}),
    "no label": first(meta={}),
    "a label below 0": first(meta={"label": -1}),
    "a shard elsewhere": first(shard="../../real/test/shard-00000.tar"),
    "a shard by its full path": first(shard="/etc/hostname"),
    "a place that is no number": first(offset="0"),
    "a place below 0": first(offset=-512),
    "a length below 0": first(length=-1),
    "no hash": first(sha256=None),
}


@pytest.mark.parametrize("index", INDEXES)
def test_an_index_that_is_not_as_it_was_written_is_one_sentence(index, workspace, capsys, monkeypatch):
    edit(INDEX, INDEXES[index])
    assert f"{INDEX} is damaged" in stopped("merge_balance guided", capsys, monkeypatch)


IMAGES: dict[str, tuple[Callable[[], object], str]] = {
    "another hash": (lambda: edit(INDEX, first(sha256="0" * 64)), f"{TAR} is damaged at sample 00000000"),
    "another place": (lambda: edit(INDEX, first(offset=1024)), f"{TAR} is damaged at sample 00000000"),
    "beyond the end": (lambda: edit(INDEX, first(offset=10**9)), f"{TAR} is damaged at sample 00000000"),
    "a shard that is not there": (lambda: edit(INDEX, first(shard="shard-00077.tar")), "shard-00077.tar is missing"),
    "a shard deleted": (lambda: Path(TAR).unlink(), f"{TAR} is missing; run `make repair`"),
    "a shard cut short": (lambda: cut_in_half("data/synth/guided/shard-00001.tar"), "shard-00001.tar is damaged at"),
    "a shard without bytes": (lambda: edit(TAR, lambda data: b""), f"{TAR} is damaged at sample 00000000"),
}


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_that_is_not_where_the_index_says_is_one_sentence(image, workspace, capsys, monkeypatch):
    spoil, sentence = IMAGES[image]
    spoil()
    assert sentence in stopped("export data/synth/guided", capsys, monkeypatch)


MERGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "is empty"),
    "a header alone": (lambda data: data.split(b"\n", 1)[0] + b"\n", "is empty"),
    "semicolons": (lambda data: data.replace(b",", b";"), "is damaged"),
    "a column missing": (replaced("position", "place"), "is damaged"),
    "a source unknown": (replaced("real,0", "fake,0"), "is damaged"),
    "a number below 0": (replaced("real,0", "real,-1"), MERGED),
    "a number with a point": (replaced("real,0", "real,0.0"), "is damaged"),
    "a place beyond the images": (replaced("synthetic,19,", "synthetic,99999,"), "points beyond the 20 images of"),
    "a label of another image": (lambda data: data.replace(b"real,0,0", b"real,0,3"), "disagree on labels"),
    "as Windows ends lines": (lambda data: data.replace(b"\n", b"\r\r\n"), "is damaged"),
}


@pytest.mark.parametrize("merged", MERGES)
def test_a_merged_index_that_is_not_as_it_was_written_is_one_sentence(merged, workspace, capsys, monkeypatch):
    change, sentence = MERGES[merged]
    edit(MERGED, change)
    assert sentence in stopped("retrain guided", capsys, monkeypatch)


DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
OTHER_NAMES: dict[str, tuple[Any, str]] = {
    "a list": (DIGITS, f"{NAMES} is damaged; run `dvc repro` to prepare the data again"),
    "nothing": (None, f"{NAMES} is damaged"),
    "no names": ({"classes": [], "contexts": None}, f"{NAMES} is damaged"),
    "numbers": ({"classes": [0, 1, 2], "contexts": None}, f"{NAMES} is damaged"),
    "no contexts in a list": ({"classes": DIGITS, "contexts": []}, f"{NAMES} is damaged"),
    "a name twice": (
        {"classes": ["one", *DIGITS[1:]], "contexts": None},
        "the class name 'one' stands for two of them",
    ),
    "a name too few": (
        {"classes": DIGITS[:9], "contexts": None},
        "there are images of label 9, but names.json has 9",
    ),
}


@pytest.mark.parametrize("names", OTHER_NAMES)
def test_names_that_are_not_those_of_the_data_are_one_sentence(names, workspace, capsys, monkeypatch):
    content, sentence = OTHER_NAMES[names]
    edit(NAMES, lambda data: json.dumps(content).encode())
    assert sentence in stopped("train_base", capsys, monkeypatch)
