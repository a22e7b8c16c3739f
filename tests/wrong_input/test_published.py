"""Published data sets that were unpacked, listed or downloaded wrongly: one sentence that names the file and line."""

import json
import pickle
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.versions.import_closure import ROOT as REPOSITORY
from tests.data.pictures import noise, save
from tests.long.fuzzing import files
from tests.wrong_input.running import cut_in_half, edit, replaced, stopped

pytestmark = pytest.mark.slow
PRESETS = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["datasets"]


def lists(folder: Path, pattern: str) -> None:
    """Published lists, such as ImageNet_LT_{}.txt, of two classes, and their images."""
    for split, place in (("train", "train"), ("val", "train"), ("test", "val")):
        lines = []
        for label, wnid in enumerate(("n01440764", "n01443537")):
            for k in range(2):
                path = f"{place}/{wnid}/{split}_{k}.JPEG"
                save(folder / path, noise(seed=label))
                lines.append(f"{path} {label}\n")
        (folder / pattern.format(split)).write_text("".join(lines))
    (folder / "classes.txt").write_text("n01440764 tench, Tinca tinca\nn01443537 goldfish\n")


WRITERS: dict[str, Callable[[Path], object]] = {
    "imagenet_lt": partial(lists, pattern="ImageNet_LT_{}.txt"),
    "places_lt": partial(lists, pattern="Places_LT_{}.txt"),
    "cifar10_lt": partial(files.cifar, fine=False, binary=False),
    "cifar100_lt": partial(files.cifar, fine=True, binary=True),
    "nico": files.nico,
    "waterbirds": files.waterbirds,
    "utkface": lambda folder: save(folder / "UTKFace/26_0_1_2017.jpg", noise()),
}  # fmt: skip
TRAIN, VAL = "ImageNet_LT_train.txt", "ImageNet_LT_val.txt"
FIRST = "train/n01440764/train_0.JPEG"
PICKLED, BINARY = "cifar-10-batches-py/data_batch_3", "cifar-100-binary/train.bin"
MAPPING, TABLE = "dg_label_id_mapping.json", "waterbird_complete95_forest2water2/metadata.csv"
BIRD, LAST = "001.Albatross/bird_0_0_0000.jpg", "bird_2_3_0000.jpg"  # the last bird stands in the first line


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return __import__("os").mkdir, ("was_run",)


def written(file: str, content: str | bytes) -> Callable[[], None]:
    return lambda: edit(file, lambda data: content if isinstance(content, bytes) else content.encode())


def put(file: str, old: str, new: str) -> Callable[[], None]:
    return lambda: edit(file, replaced(old, new))


def added(file: str, line: str) -> Callable[[], None]:
    return lambda: edit(file, lambda data: data + line.encode() + b"\n")


def pickled(**content: Any) -> Callable[[], None]:
    return lambda: edit(
        PICKLED, lambda data: pickle.dumps({**pickle.loads(data, encoding="latin1"), **content}, protocol=2)
    )


def gone(path: str) -> Callable[[], None]:
    return lambda: shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


CASES: dict[str, tuple[str, Callable[[], object], str]] = {
    "no list": ("imagenet_lt", gone(TRAIN), "lacks ImageNet_LT_train.txt, looked for in data/raw/imagenet_lt"),
    "lists of another data set": ("places_lt", gone("Places_LT_val.txt"), "lacks Places_LT_val.txt, looked for"),
    "no images": ("imagenet_lt", gone("train"), "SOURCE.md says where to get the data"),
    "an empty list": ("imagenet_lt", written(VAL, ""), "leaves the val split empty; complete the data"),
    "a picture for a list": ("imagenet_lt", written(TRAIN, b"\x89PNG\xff"), f"{TRAIN} is not text; download the list"),
    "a web page for a list": ("imagenet_lt", written(VAL, "<!DOCTYPE html>\n"), f"{VAL} line 1 is not `<path>"),
    "a line without a label": ("imagenet_lt", put(TRAIN, f"{FIRST} 0", FIRST), "line 1 is not `<path> <label>`"),
    "a label below 0": ("imagenet_lt", put(TRAIN, f"{FIRST} 0", f"{FIRST} -1"), "with a label from 0 up"),
    "a label left out": ("imagenet_lt", added(TRAIN, "train/n02/x.JPEG 7"), "has no image of label 2, though line 5"),
    "a label unknown": ("imagenet_lt", added(VAL, "train/n02/x.JPEG 7"), "line 5 has label 7, which data/raw"),
    "a label in two folders": ("imagenet_lt", added(VAL, "train/n02/x.JPEG 1"), "label 1 in the folder 'n02', but"),
    "commas in a list": ("imagenet_lt", put(TRAIN, f"{FIRST} 0", f"{FIRST},0"), "line 1 is not `<path> <label>`"),
    "a path that climbs": ("imagenet_lt", put(TRAIN, FIRST, "../../secret.JPEG"), "not below the image folder"),
    "an absolute path": ("imagenet_lt", put(TRAIN, FIRST, "/etc/hostname"), "not below the image folder: '/etc"),
    "a Windows path": ("imagenet_lt", put(TRAIN, FIRST, r"train\n01440764\0.JPEG"), "not below the image folder"),
    "an image twice": ("imagenet_lt", added(TRAIN, f"{FIRST} 0"), f"has {FIRST} twice in the train split"),
    "an image in two splits": ("imagenet_lt", added(VAL, f"{FIRST} 0"), "what is trained on must not be judged by"),
    "an image missing": ("imagenet_lt", gone("train/n01443537/train_1.JPEG"), "train_1.JPEG is missing; put it back"),
    "an image cut short": (
        "imagenet_lt",
        lambda: cut_in_half("train/n01443537/train_1.JPEG"),
        "train/n01443537/train_1.JPEG cannot be read as an image; mend it or take it out",
    ),
    "names in Latin-1": ("imagenet_lt", written("classes.txt", b"n01440764 t\xe9n\n"), "classes.txt is not UTF-8 text"),
    "a folder without a name": ("imagenet_lt", written("classes.txt", "n01440764\n"), "is not `<class folder> <name>`"),
    "CIFAR is not there": ("cifar10_lt", gone("cifar-10-batches-py"), "lacks cifar-10-batches-py/ or cifar"),
    "a batch missing": ("cifar10_lt", gone(PICKLED), "data_batch_3 is missing; unpack the archive again"),
    "a batch cut short": ("cifar10_lt", lambda: cut_in_half(PICKLED), "data_batch_3 is no CIFAR file ("),
    "a batch that is a program": ("cifar10_lt", pickled(more=Code()), "is no CIFAR file (it asks for"),
    "a batch without labels": ("cifar10_lt", pickled(labels=None), "it holds no `data` and `labels`"),
    "labels too few": ("cifar10_lt", pickled(labels=[0, 1]), "(its `data` is (4, 3072), not (2, 3072)); unpack"),
    "labels beyond the names": ("cifar10_lt", pickled(labels=[0, 1, 2, 3]), "labels that do not fit its 2 class names"),
    "an endless label": ("cifar10_lt", pickled(labels=[2**70, 1, 0, 1]), "a label has more than 63 bits"),
    "a binary file cut short": ("cifar100_lt", lambda: edit(BINARY, lambda data: data[:-9]), "are no whole number of"),
    "no names": ("cifar100_lt", written("cifar-100-binary/fine_label_names.txt", ""), "it holds no names"),
    "a mapping cut short": ("nico", lambda: cut_in_half(MAPPING), f"{MAPPING} is not valid JSON; download it again"),
    "numbers left out": ("nico", written(MAPPING, '{"dog": 0, "bear": 2}'), "does not number its classes 0, 1, ..."),
    "a class that climbs": ("nico", written(MAPPING, '{"dog": 0, "../..": 1}'), "'../..', which names no folder"),
    "a context unknown": (
        "nico",
        lambda: Path("public_dg_0416/train/moon").mkdir(),
        "moon is none of the contexts autumn, dim",
    ),
    "a class unknown": (
        "nico",
        written(MAPPING, json.dumps({"dog": 0, "cat": 1})),
        "bear is none of the classes in dg_label_id_mapping.json; move it away",
    ),
    "no table": ("waterbirds", gone(TABLE), "lacks waterbird_complete95_forest2water2/metadata.csv"),
    "a column missing": ("waterbirds", put(TABLE, "place", "background"), "lacks the columns place; download"),
    "another class": ("waterbirds", put(TABLE, f"{LAST},1", f"{LAST},2"), "line 2 needs an img_filename, y"),
    "another split": ("waterbirds", put(TABLE, ",0,0,0,", ",0,3,0,"), "and a split of 0, 1 or 2"),
    "a table in Latin-1": ("waterbirds", written(TABLE, b"img_filename\xe9"), "not a CSV text"),
    "a path out of the table": ("waterbirds", put(TABLE, BIRD, "../../x.jpg"), "'../../x.jpg' leads out of"),
    "no faces": ("utkface", gone("UTKFace"), "dataset 'utkface' lacks UTKFace/*.jpg, looked for in data/raw/utkface"),
}  # fmt: skip


def lay_out(name: str, workspace: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Path:
    folder = workspace / "data/raw" / name
    folder.mkdir(parents=True, exist_ok=True)
    WRITERS[name](folder)
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    preset = {**PRESETS[name], "image_size": 16, **changes}
    for key, least in (("held_out", 3), ("val_per_class", 1), ("imbalance_factor", 1)):
        if key in preset and key not in changes:
            preset[key] = least
    params |= {"dataset": name, "datasets": {name: preset}}
    (workspace / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return folder


@pytest.mark.parametrize("case", CASES)
def test_a_published_data_set_that_is_not_whole_is_one_sentence(case, workspace, capsys, monkeypatch):
    name, spoil, sentence = CASES[case]
    monkeypatch.chdir(lay_out(name, workspace, monkeypatch))
    spoil()
    monkeypatch.chdir(workspace)
    assert sentence in stopped("prepare_lt", capsys, monkeypatch)
    assert not list(workspace.rglob("was_run"))


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("utkface", {"target": "age", "sensitive": "age"}, "target and datasets.utkface.sensitive are both age"),
        ("utkface", {"target": "mood"}, "unknown attribute of UTKFace 'mood'; choose one of: age, gender, race"),
        ("utkface", {"drop_races": [9]}, "datasets.utkface.drop_races.0 must be at most 4, not 9"),
        ("utkface", {"drop_races": 4}, "datasets.utkface.drop_races must be a list, not 4"),
        ("nico", {"held_out": 2}, "datasets.nico.held_out must be at least 3, not 2"),
        ("cifar10_lt", {"val_per_class": 5000}, "val_per_class 5000 leaves nothing of 10 images per class; lower it"),
        ("cifar10_lt", {"imbalance_factor": 100}, "imbalance factor 100 leaves class 1 without a training image"),
        ("imagenet_lt", {"images": "nowhere"}, "looked for in nowhere"),
    ],
)
def test_settings_that_a_published_data_set_cannot_meet_are_one_sentence(
    name, changes, sentence, workspace, capsys, monkeypatch
):
    lay_out(name, workspace, monkeypatch, **changes)
    assert sentence in stopped("prepare_lt", capsys, monkeypatch)
