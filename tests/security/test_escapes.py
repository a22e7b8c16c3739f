"""No path from a table, a list, an index or a link leads out of its folder; archives: tests/shards/test_tar.py."""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from src.data.published.lists import read_list
from src.data.split_writer import write_splits
from src.runtime.errors import InputError
from src.shards.store import Shards, write_all
from tests.data.loading import load
from tests.data.pictures import noise, photographs
from tests.data.published import miniatures

OWN = {"val_fraction": 0.2, "test_fraction": 0.2, "skip_unreadable": False, "long_tail": None, "image_size": 16}
# Each leads out of the folder `root` beside `outside`, or nowhere; `link` and `door` are links to the image and to
# `outside`, `loop` one to itself.
ENTRIES = [
    "../outside/secret.png", "a/../../outside/secret.png", "./../outside/secret.png", "{outside}/secret.png",
    "link.png", "door/secret.png", "a/../door/secret.png", "loop/x.png", "a\0.png", "/proc/self/environ",
    "..\\outside\\secret.png", "C:\\outside\\secret.png", "~/x.png", "file://{outside}/secret.png", "x" * 5000,
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    """Two classes of photographs, and links outwards."""
    folder = tmp_path / "root"
    for k, name in enumerate(("a", "b")):
        photographs(folder / name, 6, seed=k)
    (folder / "link.png").symlink_to(outside / "secret.png")
    (folder / "door").symlink_to(outside)
    (folder / "loop").symlink_to("loop")
    return folder


@pytest.mark.parametrize("entry", ENTRIES)
def test_no_row_of_a_table_leads_out_of_its_folder(entry, root, outside):
    rows = [f"{name}/{i}.png,{name}" for name in ("a", "b") for i in range(6)]
    rows.append(f'"{entry.format(outside=outside)}",a')
    (root / "images.csv").write_text("\n".join(["path,label", *rows]))
    with pytest.raises(InputError, match="line 14"):
        load({**OWN, "name": "csv", "kind": "csv", "path": str(root), "table": "images.csv"})


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.startswith(("..", "a/..", "./..", "{", "/", "C:"))])
def test_no_line_of_a_published_list_leads_out_of_the_image_folder(entry, tmp_path, outside):
    (tmp_path / "list.txt").write_text(f"train/x.png 0\n{entry.format(outside=outside)} 0\n")
    with pytest.raises(InputError, match="line 2 has a path that is not below the image folder"):
        read_list(tmp_path / "list.txt")


@pytest.mark.parametrize("link", ["image", "class", "split"])
def test_a_link_in_a_folder_of_classes_is_not_followed_outwards(link, root, outside):
    for name in ("link.png", "door", "loop"):
        (root / name).unlink()
    if link == "image":
        (root / "a/9.png").symlink_to(outside / "secret.png")
    elif link == "class":
        (root / "c").symlink_to(outside)
    else:
        for split in ("train", "val"):
            shutil.copytree(root, root.with_name("made") / split)
        photographs(outside.with_name("elsewhere") / "a", 1)
        (root.with_name("made") / "test").symlink_to(outside.with_name("elsewhere"))
        root = root.with_name("made")
    with pytest.raises(InputError, match="leads out of"):
        load({**OWN, "name": "folder", "kind": "folder", "path": str(root)})


def test_links_that_stay_inside_and_a_linked_data_folder_are_the_users_own(root, tmp_path):
    for name in ("link.png", "door", "loop"):
        (root / name).unlink()
    (root / "a/9.png").symlink_to(root / "a/0.png")
    (tmp_path / "mine").symlink_to(root)
    data = load({**OWN, "name": "folder", "kind": "folder", "path": str(tmp_path / "mine")})
    assert sum(len(data.splits[name]) for name in ("train", "val", "test")) == 13


@pytest.mark.parametrize("entry", ENTRIES[:6])
def test_a_published_table_that_leads_out_ends_before_anything_is_published(entry, tmp_path, outside):
    settings = miniatures.waterbirds(tmp_path / "birds", {0: (2, 2, 2, 2), 1: (1, 1, 1, 1), 2: (1, 1, 1, 1)})
    (folder,) = (tmp_path / "birds").iterdir()
    (folder / "link.png").symlink_to(outside / "secret.png")
    (folder / "door").symlink_to(outside)
    with open(folder / "metadata.csv", "a") as table:
        table.write(f"99,{entry.format(outside=outside)},0,0,0,x\n")
    with pytest.raises(InputError, match="leads out of"):
        write_splits(load(settings), 16, tmp_path / "made", with_ids=True)
    assert not list((tmp_path / "made").rglob("index.jsonl"))


def test_a_face_that_is_a_link_outwards_is_refused(tmp_path, outside):
    settings = miniatures.utkface(tmp_path / "faces")
    (place,) = {path.parent for path in (tmp_path / "faces").rglob("*.jpg")}
    (place / "30_0_0_20170101.jpg").symlink_to(outside / "secret.png")
    with pytest.raises(InputError, match="leads out of"):
        write_splits(load(settings), 16, tmp_path / "made", with_ids=True)


BINARY10 = partial(miniatures.cifar10_lt, binary=True)
BINARY100 = partial(miniatures.cifar100_lt, binary=True)
BIRDS = "waterbird_complete95_forest2water2"
PLACES = {  # every file and folder that a loader opens by its name, before it reads the first image
    "cifar-10-batches-py": miniatures.cifar10_lt,
    "cifar-10-batches-py/batches.meta": miniatures.cifar10_lt,
    "cifar-10-batches-py/data_batch_2": miniatures.cifar10_lt,
    "cifar-10-batches-bin": BINARY10,
    "cifar-10-batches-bin/test_batch.bin": BINARY10,
    "cifar-100-python": miniatures.cifar100_lt,
    "cifar-100-binary/fine_label_names.txt": BINARY100,
    "ImageNet_LT_val.txt": miniatures.imagenet_lt,
    "classes.txt": miniatures.imagenet_lt,
    "train": miniatures.imagenet_lt,
    "val": miniatures.places_lt,
    "dg_label_id_mapping.json": miniatures.nico,
    "public_dg_0416": miniatures.nico,
    "public_dg_0416/train": miniatures.nico,
    "public_dg_0416/train/dim": miniatures.nico,
    "public_dg_0416/train/dim/dog": miniatures.nico,
    "UTKFace": miniatures.utkface,
    BIRDS: miniatures.waterbirds,
    f"{BIRDS}/metadata.csv": miniatures.waterbirds,
}


def relocate(path: Path, target: Path) -> None:
    """Move a file or folder, and leave a link to it in its place."""
    shutil.move(path, target)
    path.symlink_to(target)


@pytest.mark.parametrize("place", PLACES)
def test_no_file_or_folder_of_a_published_data_set_is_followed_outwards(place, tmp_path):
    settings = PLACES[place](tmp_path / "data")
    (tmp_path / "data/classes.txt").write_text("n01440764 tench\n")
    load(settings)
    relocate(tmp_path / "data" / place, tmp_path / "beside")
    with pytest.raises(InputError, match=rf"'{place}.*' leads out of .*data; copy"):
        load(settings)


@pytest.mark.parametrize("place", PLACES)
def test_a_published_data_set_may_hold_links_within_and_be_one(place, tmp_path):
    settings = PLACES[place](tmp_path / "data")
    (tmp_path / "data/classes.txt").write_text("n01440764 tench\n")
    before = load(settings)
    relocate(tmp_path / "data" / place, tmp_path / "data/kept")
    relocate(tmp_path / "data", tmp_path / "bigger disk")
    (tmp_path / "bigger disk" / place).unlink()
    (tmp_path / "bigger disk" / place).symlink_to(tmp_path / "bigger disk/kept")
    after = load(settings)
    assert after.class_names == before.class_names
    for name, split in after.splits.items():
        assert split.ids == before.splits[name].ids and split.read(0).shape[2] == 3


@pytest.mark.parametrize("name", ["../../../../outside", "{outside}", "a/../../../../../outside", "a\0b"])
def test_a_mapping_of_classes_to_folders_names_no_other_folder(name, tmp_path, outside):
    settings = miniatures.nico(tmp_path / "nico")
    mapping = {"dog": 0, "hot_air_balloon": 1, name.format(outside=outside): 2}
    (tmp_path / "nico/dg_label_id_mapping.json").write_text(json.dumps(mapping))
    with pytest.raises(InputError, match="has the class"):
        load(settings)


@pytest.mark.parametrize(("offset", "length"), [(-1, 10), (2**62, 10), (0, 2**62), (0, -1), (1e9, 10), ("0", 10)])
def test_no_index_makes_a_reader_leave_the_file(offset, length, tmp_path):
    write_all(tmp_path / "shards", [(noise(), {"label": 0})])
    path = tmp_path / "shards/index.jsonl"
    path.write_text(json.dumps({**json.loads(path.read_text()), "offset": offset, "length": length}) + "\n")
    with pytest.raises(InputError):
        Shards(tmp_path / "shards").image(0)
