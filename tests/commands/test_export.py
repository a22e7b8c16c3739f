"""Exports: every image once, with its origin; safe folder names; continued where they stopped; nothing overwritten."""

import csv
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import commands.export
from src.data.csv_table import read_table
from src.data.export import export, folder_names, merged_entries, shard_entries
from src.data.merge import union
from src.data.merged_index import write_merged
from src.data.names import Names, write_names
from src.runtime import files
from src.runtime.errors import InputError
from src.runtime.files import atomic_write, write_json
from src.shards.store import Shards, write_all
from tests.recorded import record

NAMES = Names(("sea eagle", "a/b"), ("on land", "at sea"))
GENERATOR = np.random.default_rng(0)


def image() -> np.ndarray:
    return GENERATOR.integers(256, size=(8, 8, 3), dtype=np.uint8)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Three real and three synthetic images where the pipeline keeps them."""
    monkeypatch.chdir(tmp_path)
    real = [(image(), {"label": y, "context": a, "id": f"photo {y}{a}.jpg"}) for y, a in ((0, 0), (0, 1), (1, 0))]
    made = [
        (
            image(),
            {"label": y, "context": 1, "prompt": f"a photo, {y}", "seed": 7 + i, "source": i, "index": i,
             "criterion_before": 0.5, "criterion_after": None},
        )
        for i, y in enumerate((0, 1, 1))
    ]  # fmt: skip
    write_all(tmp_path / "data/real/train", real)
    write_all(tmp_path / "data/synth/guided", made)
    write_names(tmp_path / "data/real", NAMES)
    shards = Shards("data/real/train"), Shards("data/synth/guided")
    index = union(*shards)
    write_merged(tmp_path / "data/merged/guided.csv", index)
    record(tmp_path, "data/merged/guided.csv", seed=0)
    return tmp_path


def run(monkeypatch, *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["export", *words])
    commands.export.main()


def rows_of(folder) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "images.csv").read_text().splitlines()))


def test_a_balanced_set_becomes_folders_whose_table_tells_every_origin(world, monkeypatch, capsys):
    run(monkeypatch, "guided")
    rows = rows_of(world / "export/guided")
    assert [row["path"] for row in rows] == [
        "sea eagle/real-00000000.png", "sea eagle/real-00000001.png", "a_b/real-00000002.png",
        "sea eagle/synthetic-00000000.png", "a_b/synthetic-00000001.png", "a_b/synthetic-00000002.png",
    ]  # fmt: skip
    assert rows[1] == {
        "path": "sea eagle/real-00000001.png", "label": "sea eagle", "group": "at sea", "source": "real",
        "prompt": "", "seed": "", "source_image": "photo 01.jpg", "criterion_before": "", "criterion_after": "",
    }  # fmt: skip
    assert rows[4] == {
        "path": "a_b/synthetic-00000001.png", "label": "a/b", "group": "at sea", "source": "synthetic",
        "prompt": "a photo, 1", "seed": "8", "source_image": "photo 01.jpg", "criterion_before": "0.5",
        "criterion_after": "",
    }  # fmt: skip
    assert "6 images in export/guided (6 new)" in capsys.readouterr().out


def test_the_pixels_are_those_of_the_shards_and_nothing_else_lies_there(world, monkeypatch):
    run(monkeypatch, "guided")
    folder, shards = (
        world / "export/guided",
        {"real": Shards("data/real/train"), "synthetic": Shards("data/synth/guided")},
    )
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert found == sorted(
        ["README.md", "images.csv", "metadata.csv", "export.json", *(row["path"] for row in rows_of(folder))]
    )
    for row in rows_of(folder):
        source, position = row["path"].split("/")[1].removesuffix(".png").split("-")
        assert np.array_equal(np.array(Image.open(folder / row["path"])), shards[source].image(int(position)))


def test_its_card_and_metadata_say_what_is_real_and_what_is_not(world, monkeypatch):
    run(monkeypatch, "guided")
    folder = world / "export/guided"
    metadata = list(csv.DictReader((folder / "metadata.csv").read_text().splitlines()))
    assert metadata == [{"file_name": row.pop("path"), **row} for row in rows_of(folder)]
    card = (folder / "README.md").read_text()
    assert "3 real and 3 synthetic images" in card and "- seed: 0" in card
    assert "| sea eagle | 2 | 1 |" in card and "| a/b | 1 | 2 |" in card


def test_an_export_is_a_data_set_that_the_loader_of_an_own_csv_reads(world, monkeypatch):
    run(monkeypatch, "guided")
    read = read_table(world / "export/guided/images.csv")
    assert [(image.label, image.context) for image in read] == [
        (row["label"], row["group"]) for row in rows_of(world / "export/guided")
    ]


def test_where_some_images_have_no_context_it_is_no_group_and_the_export_is_a_data_set_all_the_same(world, monkeypatch):
    made = [(image(), {"label": y, "prompt": "a photo", "seed": 1, "source": y}) for y in (0, 1, 1)]
    shutil.rmtree(world / "data/synth/guided")
    write_all(world / "data/synth/guided", made)
    run(monkeypatch, "guided")
    rows = rows_of(world / "export/guided")
    assert [row["context"] for row in rows] == ["on land", "at sea", "on land", "", "", ""] and "group" not in rows[0]
    read = read_table(world / "export/guided/images.csv")
    assert [(image.label, image.context) for image in read] == [(row["label"], None) for row in rows]
    run(monkeypatch, "data/synth/guided", "made")
    assert "group" not in rows_of(world / "made")[0] and len(read_table(world / "made/images.csv")) == 3


def test_an_export_of_a_fresh_clone_says_where_its_images_come_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"data/real/train/.* is missing; run `dvc checkout` or `dvc repro`$"):
        run(monkeypatch, "guided")


def test_a_folder_of_shards_is_exported_alone_and_data_without_contexts_has_no_group(world, monkeypatch):
    write_names(world / "data/real", Names(NAMES.classes))
    run(monkeypatch, "data/synth/guided", "taken/made")
    rows = rows_of(world / "taken/made")
    assert [row["source"] for row in rows] == ["synthetic"] * 3 and "group" not in rows[0]
    run(monkeypatch, "data/real/train")
    assert [row["source"] for row in rows_of(world / "export/train")] == ["real"] * 3


@pytest.mark.parametrize(("image_format", "suffix"), [("png", "png"), ("jpeg", "jpg")])
def test_images_of_either_format_leave_as_the_bytes_that_are_stored(world, monkeypatch, image_format, suffix):
    write_all(world / "data/real/val", [(image(), {"label": i % 2, "context": 0}) for i in range(3)], 2, image_format)
    run(monkeypatch, "data/real/val")
    shards, rows = Shards("data/real/val"), rows_of(world / "export/val")
    assert [row["path"].split("/")[1] for row in rows] == [f"real-0000000{i}.{suffix}" for i in range(3)]
    for i, row in enumerate(rows):
        data = (world / "export/val" / row["path"]).read_bytes()
        assert data == shards.stored(i)
        assert np.array_equal(np.array(Image.open(world / "export/val" / row["path"])), shards.image(i))


def test_an_image_made_from_one_that_is_not_there_or_of_a_group_without_name_is_refused(world, monkeypatch):
    for source, context, problem in [(9, 0, "image 9, which"), (-1, 0, "image -1"), ("a", 0, "'a'"), (0, 7, "a group")]:
        meta = {"label": 0, "context": context, "prompt": "a photo", "source": source}
        write_all(world / "odd", [(image(), meta)])
        with pytest.raises(InputError, match=problem):
            run(monkeypatch, "odd", f"out/{source}{context}")


def test_an_image_that_nobody_named_is_told_by_its_number(world):
    write_all(world / "plain", [(image(), {"label": 0})])
    plain = Shards(world / "plain")
    export(shard_entries(plain), Names(("x",)), plain, world / "out")
    assert rows_of(world / "out")[0]["source_image"] == "00000000"


def test_an_interrupted_export_continues_and_ends_as_an_uninterrupted_one(world, monkeypatch, capsys):
    run(monkeypatch, "guided", "whole")
    calls = []

    def killed(path, data):
        calls.append(path)
        if len(calls) == 4:
            raise KeyboardInterrupt
        atomic_write(path, data)

    monkeypatch.setattr("src.data.export.atomic_write", killed)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, "guided", "broken")
    monkeypatch.setattr("src.data.export.atomic_write", atomic_write)
    assert not (world / "broken/images.csv").exists()
    (world / f"broken/sea eagle/.real-00000001.png.{'7' * 32}.tmp").write_bytes(b"half")
    files._remove_unfinished.cache_clear()  # as in another process
    run(monkeypatch, "guided", "broken")
    assert "(3 new)" in capsys.readouterr().out
    whole = {path.relative_to(world / "whole") for path in (world / "whole").rglob("*")}
    assert whole == {path.relative_to(world / "broken") for path in (world / "broken").rglob("*")}
    for file in whole:
        if (world / "whole" / file).is_file():
            assert (world / "whole" / file).read_bytes() == (world / "broken" / file).read_bytes()


def test_a_finished_export_is_left_as_it_is(world, monkeypatch, capsys):
    run(monkeypatch, "guided")
    before = {path: path.stat().st_mtime_ns for path in (world / "export").rglob("*.png")}
    run(monkeypatch, "guided")
    assert "(0 new)" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in (world / "export").rglob("*.png")}


def test_files_of_the_user_and_other_exports_are_never_written_over(world, monkeypatch):
    (world / "mine").mkdir()
    (world / "mine/thesis.txt").write_text("years")
    with pytest.raises(InputError, match=r"mine holds files of yours, such as thesis.txt; give the export a new"):
        run(monkeypatch, "guided", "mine")
    assert [path.name for path in (world / "mine").iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match="is a file"):
        run(monkeypatch, "guided", "mine/thesis.txt")
    run(monkeypatch, "guided")
    with pytest.raises(InputError, match=r"export/guided holds the export of other images; delete it"):
        run(monkeypatch, "data/real/train", "export/guided")
    write_names(world / "data/real", Names(("eagle", "a/b"), NAMES.contexts))
    with pytest.raises(InputError, match="holds the export of other images"):
        run(monkeypatch, "guided")


def test_a_balanced_set_of_another_run_is_not_exported(world, monkeypatch):
    (world / "params.yaml").write_text("seed: 1\n")
    with pytest.raises(InputError, match=r"results here are of seed=0; this run \(seed=1\) has none yet"):
        run(monkeypatch, "guided")
    run(monkeypatch, "data/synth/guided")


def test_what_cannot_be_exported_is_said_in_a_sentence(world, monkeypatch):
    with pytest.raises(
        InputError, match=r"'guide' is neither a balanced set \(there are guided\) nor a folder of shards"
    ):
        run(monkeypatch, "guide")
    write_names(world / "data/real", Names(("only",), NAMES.contexts))
    with pytest.raises(InputError, match="has a class without a name"):
        run(monkeypatch, "guided")


def test_an_index_of_other_shards_is_refused(world):
    real, made = Shards("data/real/train"), Shards("data/synth/guided")
    index = union(real, made)
    with pytest.raises(InputError, match=r"merged index (points beyond|and) .*data/synth/guided.*; run `dvc repro`"):
        merged_entries(index, made, real)
    index.position[0] = 9
    with pytest.raises(InputError, match=r"points beyond the 3 images of data/real/train"):
        merged_entries(index, real, made)


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (("zero", "Großer Panda", "猫"), ("zero", "Großer Panda", "猫")),
        (("../etc", "a/b", "a\\b", "a:b"), ("_etc", "a_b", "a_b-2", "a_b-3")),
        (("..", "", " . ", "."), ("class", "class-2", "class-3", "class-4")),
        (("Cat", "cat", "cat-2"), ("Cat", "cat-2", "cat-2-2")),
        (("con", "NUL.txt", "console"), ("_con", "_NUL.txt", "console")),
        (("images.csv", "export.json", "-rf", ".git"), ("images.csv-2", "export.json-2", "rf", "git")),
        (("cafe\u0301", "caf\u00e9"), ("caf\u00e9", "caf\u00e9-2")),
    ],
)
def test_class_names_become_safe_folder_names(names, folders):
    assert folder_names(names) == folders


@given(st.lists(st.text(max_size=300), max_size=12))
def test_any_names_become_unique_folders_inside_the_export(names):
    folders = folder_names(names)
    assert len(folders) == len(names) == len({unicodedata.normalize("NFD", name).casefold() for name in folders})
    for name in folders:
        assert name and not set(name) & set('/\\:*?"<>|\0\n') and not name.startswith((".", "-"))
        assert name not in ("images.csv", "export.json") and len(name.encode()) <= 120
        assert name == name.strip(" ") and not name.endswith(".")


def test_the_card_says_how_many_of_the_images_show_their_class(world, monkeypatch):
    quality = {"guided": {"class_agreement": {"overall": 0.092}}}
    write_json("metrics/fid_density_coverage.json", quality)
    monkeypatch.setattr("sys.argv", ["export", "guided"])
    commands.export.main()
    assert "9.2% of the images show their class" in Path("export/guided/README.md").read_text()
