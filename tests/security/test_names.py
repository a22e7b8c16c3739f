"""Names of classes that mean something to a shell, a page, a table or a terminal are words to all that writes them."""

import re

import numpy as np
import pytest
from PIL import Image

from src.data.csv_table import read_table
from src.data.export import export, shard_entries
from src.data.names import Names, read_names, write_names
from src.data.split_writer import write_splits
from src.evaluation.accuracy import accuracy_report
from src.evaluation.improvement import improvement_report, read_predictions
from src.runtime.entry import run_stage
from src.runtime.errors import InputError
from src.runtime.files import write_csv
from src.runtime.markdown import markdown_table
from src.shards.contact_sheet import contact_sheet
from src.shards.store import Shards
from src.synthesis.prompts import Prompts
from tests.data.loading import load
from tests.data.pictures import photographs

# What a folder's name may hold, and some of it means something elsewhere.
HOSTILE = [
    "$(touch canary)", "`touch canary`", "; touch canary", "| touch canary", "&& touch canary", "-rf", "--help",
    "=cmd|' ~C'!A0", "@SUM(1)", "+1", "<script>alert(1)<script>", "a|b", "**bold**", "[x](javascript:1)", "{class}",
    "{modifier}", "%s%n", "${LAUNCH}", "'; DROP TABLE x", "a..canary", "C:canary", "con", "nul.txt", "a b", "x" * 200,
    "caf\u00e9", "\U0001f600",
]  # fmt: skip


def test_names_of_classes_are_words_to_all_that_writes_them(tmp_path, outside, monkeypatch):
    """From a folder through shards, prompts and contact sheet to an export that is a data set again."""
    monkeypatch.chdir(tmp_path)
    for k, name in enumerate(HOSTILE):
        photographs(tmp_path / "data" / name, 3, seed=k)
    own = {"val_fraction": 0.3, "test_fraction": 0.3, "skip_unreadable": False, "long_tail": None, "image_size": 8}
    data = load({**own, "name": "folder", "kind": "folder", "path": str(tmp_path / "data")})
    write_splits(data, 8, tmp_path / "real", with_ids=True)
    write_names(tmp_path / "real", Names(data.class_names))
    names = read_names(tmp_path / "real")
    assert set(names.classes) == set(HOSTILE)

    (tmp_path / "p.yaml").write_text("template: a {class}\nmodified: a {modifier} {class}\nmodifiers: ['{class} ;']\n")
    prompts = Prompts(tmp_path / "p.yaml", names.classes)
    assert [prompts.plain(k) for k in range(len(HOSTILE))] == [f"a {name}" for name in names.classes]
    assert prompts.modified(0, np.random.default_rng(0)) == f"a {{class}} ; {names.classes[0]}"

    train = Shards(tmp_path / "real/train")
    contact_sheet(tmp_path / "sheet.png", train.images()[: len(HOSTILE)], 1, row_labels=names.classes)
    assert Image.open(tmp_path / "sheet.png", formats=["PNG"]).width < 1000
    export(shard_entries(train), names, train, tmp_path / "export")
    folders = {path.name for path in (tmp_path / "export").iterdir() if path.is_dir()}
    assert len(folders) == len(HOSTILE)
    assert not any(set(name) & set('<>:"/\\|?*$`;') or name.startswith((".", "-", " ")) for name in folders)
    assert {image.label for image in read_table(tmp_path / "export/images.csv")} == set(HOSTILE)


def test_a_report_shows_names_and_not_what_they_say_in_markdown(tmp_path):
    names = ["<script>alert(1)</script>", "a|b", "**bold** [x](javascript:1) `c`"]
    labels = np.repeat([0, 1, 2], 8)
    report = {arm: accuracy_report(np.eye(3)[labels], labels, [9, 5, 2], names) for arm in ("base", "guided")}
    for arm in report:
        write_csv(tmp_path / f"{arm}.csv", [{"actual": names[y], "predicted": names[y]} for y in labels])
    written = improvement_report(report, read_predictions(tmp_path, report))
    for raw in (r"(?<!\\)<script", r"(?<!\\)\*\*bold", r"(?<!\\)\[x", r"(?<!\\)`c"):
        assert not re.search(raw, written)
    assert "\\<script\\>" in written
    assert markdown_table([{"a": "x\ny|z"}], ["a"]).splitlines()[2] == r"| x y\|z |"


def test_a_folder_with_a_control_character_in_its_name_is_refused_before_its_images_are_read(tmp_path):
    for name in ("fine", "a\nb"):
        photographs(tmp_path / "data" / name, 6)
    own = {"val_fraction": 0.2, "test_fraction": 0.2, "skip_unreadable": False, "long_tail": None, "image_size": 8}
    with pytest.raises(InputError, match="control characters"):
        load({**own, "name": "folder", "kind": "folder", "path": str(tmp_path / "data")})


def test_an_error_is_one_line_whatever_the_file_is_called(capsys):
    def main() -> None:
        raise InputError("x/\x1b[2Jred\nherring\udcff.png is missing; put it back")

    with pytest.raises(SystemExit):
        run_stage(main)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable() and "herring" in line and line.endswith("put it back")


def test_a_file_written_in_place_of_a_link_leaves_what_the_link_led_to(tmp_path, outside):
    (tmp_path / "out.csv").symlink_to(outside / "secret.png")
    write_csv(tmp_path / "out.csv", [{"a": 1}])
    assert not (tmp_path / "out.csv").is_symlink()
