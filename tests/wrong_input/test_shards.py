"""What stages read of each other after bit rot, a half copy or a stray edit: one sentence that names it."""

import json
from pathlib import Path

import pytest

from tests.wrong_input.running import cut_in_half, edit, stopped

pytestmark = pytest.mark.slow
NAMES = "data/real/names.json"


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
        ("data/merged/guided.csv", "retrain guided"),
        ("data/synth/guided/index.jsonl", "merge_balance guided"),
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


def test_names_too_few_for_the_labels_are_one_sentence(workspace, capsys, monkeypatch):
    edit(NAMES, lambda data: json.dumps({**json.loads(data), "classes": json.loads(data)["classes"][:9]}).encode())
    assert "there are images of label 9, but names.json has 9" in stopped("train_base", capsys, monkeypatch)
