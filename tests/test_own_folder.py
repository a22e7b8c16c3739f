"""A practitioner's folder, from images as people have them to a balanced data set and a report; and a killed run."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.runtime.errors import InputError
from src.runtime.files import read_json
from src.shards.store import Shards
from src.training.training_state import TrainingState
from src.versions.import_closure import ROOT
from tests.data.loading import load
from tests.data.pictures import claims, save, text, truncated
from tests.data.presets import CLASSES
from tests.generators.miniatures import unclip
from tests.micro import RESULTS, digests, environment, set_parameters
from tests.recorded import record
from tests.small import PARAMS, enter, run, run_all

pytestmark = pytest.mark.slow
RAW = Path("data/raw/folder")
KILLED = """
import os, signal
from src.training.training_state import TrainingState

def keep(self, row, by, keep=TrainingState.keep):
    keep(self, row, by)
    if len(self.curve) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

TrainingState.keep = keep
from stages.train_base import main
main()
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """All stages run on a folder with images of every kind and a class of one image. Tests leave it so."""
    base = tmp_path_factory.mktemp("own")
    unclip(base / "unclip")
    with pytest.MonkeyPatch.context() as patch:
        root = enter(base / "finished", "folder", base / "unclip", patch)
        run_all("folder", patch)
    record(root, "data/merged/guided.csv", "metrics/accuracy.json")
    return root


@pytest.fixture
def own(finished, tmp_path, monkeypatch) -> Path:
    """A copy of the finished run as the working directory."""
    root = shutil.copytree(finished, tmp_path / "own")
    monkeypatch.chdir(root)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return root


def photographs_there() -> list[str]:
    return sorted(path.relative_to(RAW).as_posix() for path in RAW.glob("*/*"))


def placed() -> list[str]:
    """What the splits call their images."""
    parts = (Shards(f"data/real/{name}") for name in ("train", "val", "test"))
    return sorted(part.meta(i)["id"] for part in parts for i in range(len(part)))


def test_every_file_of_the_folder_is_in_one_split_and_a_single_image_trains(own):
    assert placed() == photographs_there()
    counts = read_json("metrics/splits.json")["train_counts"]
    assert list(counts) == [*CLASSES, "strange"] and counts["emu"] == 1
    assert "skipped" not in read_json("metrics/splits.json")
    emu = read_json("metrics/accuracy.json")["guided"]["per_class"]["emu"]
    assert emu == {"accuracy": None, "f1": None, "train_images": 1, "test_images": 0}


def test_the_balanced_set_can_be_taken_away_and_is_a_data_set_again(own, monkeypatch, capsys):
    run("export", monkeypatch, "guided")
    real, samples = Shards("data/real/train"), Shards("data/synth/guided")
    rows = list(csv.DictReader(Path("export/guided/images.csv").read_text().splitlines()))
    names = sorted(row["source_image"] for row in rows if row["source"] == "real")
    assert names == sorted(real.meta(i)["id"] for i in range(len(real))) and len(rows) == len(real) + len(samples)
    for row in rows:
        assert min(Image.open(Path("export/guided", row["path"])).size) == 32  # real ones keep their long side
        assert row["source_image"].split("/")[0] == row["label"] == row["path"].split("/")[0]
    again = load({**PARAMS["datasets"]["csv"], "name": "csv", "path": "export/guided"})
    assert again.class_names == (*CLASSES, "strange")
    assert sum(len(again.splits[split]) for split in ("train", "val", "test")) == len(rows)
    before = digests(Path("export"))
    run("export", monkeypatch, "guided")
    assert digests(Path("export")) == before


def test_the_report_says_what_improved_and_which_classes_nobody_can_judge(own, monkeypatch):
    run("improvement", monkeypatch)
    page = Path("metrics/improvement.md").read_text()
    assert all(f"**{arm}** against base." in page for arm in ("synaug", "guided"))
    assert "Too few test images to tell" in page and "emu (0)" in page


def spoil() -> list[str]:
    """Add files that cannot be read; return their names."""
    text(RAW / "cat/text.jpg")
    text(RAW / "cat/empty.png", "")
    truncated(RAW / "dog/half.jpg")
    claims(RAW / "dog/bomb.png", 60_000, 60_000)
    text(RAW / "emu/phone.heic")
    return ["cat/empty.png", "cat/text.jpg", "dog/bomb.png", "dog/half.jpg", "emu/phone.heic"]


def test_unreadable_files_are_refused_by_name_and_no_result_is_lost(own, monkeypatch):
    before = digests(*map(Path, (*RESULTS, "prompts")))
    bad = spoil()
    with pytest.raises(InputError, match=r"5 of 33 images cannot be used .*datasets.folder.skip_unreadable") as error:
        run("prepare_lt", monkeypatch)
    assert all(str(RAW / name) in str(error.value) for name in bad)
    after = digests(*map(Path, (*RESULTS, "prompts")))
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {str(RAW / name) for name in bad}


def test_unreadable_files_can_be_left_out_which_moves_no_other_image(own, monkeypatch):
    before = digests(Path("data/real"))
    bad = spoil()
    set_parameters(own, {"datasets.folder.skip_unreadable": True})
    run("prepare_lt", monkeypatch)
    assert digests(Path("data/real")) == before
    assert read_json("data/results/splits.json")["skipped"] == bad
    assert sorted([*placed(), *bad]) == photographs_there()


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        (lambda: (RAW / "yak").mkdir(), "data/raw/folder/yak holds no image; add one, or remove"),
        (lambda: save(RAW / "loose.png", np.zeros((8, 8, 3), np.uint8)), r"beside its class folders \(loose.png\)"),
        (lambda: text(RAW / "yak/only.jpg"), r"1 of 29 images cannot be used \(data/raw/folder/yak/only.jpg"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_by_name_and_no_result_is_lost(spoilt, sentence, own, monkeypatch):
    before = digests(Path("data/real"), Path("data/results"), Path("data/synth"))
    spoilt()
    with pytest.raises(InputError, match=sentence):
        run("prepare_lt", monkeypatch)
    assert digests(Path("data/real"), Path("data/results"), Path("data/synth")) == before


def test_a_stage_that_was_killed_ends_with_the_weights_of_one_that_was_not(own, monkeypatch):
    set_parameters(own, {"recipes.folder.epochs": 10})
    trained = ("data/base", "data/reference", "data/results/curves")
    killed = shutil.copytree(own, own.parent / "killed")
    run("train_base", monkeypatch)
    expected = digests(*map(Path, trained))

    monkeypatch.chdir(killed)
    shutil.rmtree("data/base")
    done = subprocess.run(
        [sys.executable, "-c", KILLED], env={**environment(killed), "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert done.returncode == -9, done.stderr
    assert (
        not Path("data/base").exists() and len(list(Path(".dvc/tmp/scratch").glob("train_base-*/*.safetensors"))) == 1
    )

    first, resume = [], TrainingState.resume
    monkeypatch.setattr(TrainingState, "resume", lambda self: first.append(resume(self)) or first[-1])
    run("train_base", monkeypatch)
    assert len(first) == 2 and first[0] > 0 == first[1]
    assert digests(*map(Path, trained)) == expected
