"""Every data set of params.yaml in miniature, in the files that its preset looks for, and the names that come out."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from src.data.published.fashion_files import CLASSES as CLOTHES
from src.data.published.fashion_files import SHEETS, SIDE, sheet_of
from tests.data.pictures import corners, noise, photographs, rotated, save
from tests.data.published import miniatures

Names = tuple[str, ...]
CLASSES = ("cat", "dog", "emu")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Miniature(NamedTuple):
    """write: the files into a folder; returns what the preset must say otherwise. The names that must come out."""

    write: Callable[[Path, Mapping[str, Any]], Mapping[str, Any]]
    classes: Names
    contexts: Names | None = None


def own_folder(root: Path, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Three classes of photographs, and one whose files are as people have them; a class of one image."""
    for seed, (name, count) in enumerate(zip(CLASSES, (14, 6, 1), strict=True)):
        photographs(root / name, count, seed)
    strange = root / "strange"
    save(strange / "grey.png", noise()[..., 0])
    save(strange / "rgba.png", np.dstack([noise(seed=1), noise(seed=2)[..., 0]]))
    save(strange / "deep.png", noise(seed=3)[..., 0].astype(np.uint16) * 257)
    save(strange / "huge.png", Image.effect_noise((3000, 2000), 64))
    save(strange / "moving.gif", corners(), save_all=True, append_images=[Image.new("RGB", (16, 8))])
    save(strange / "really_a_png.JPG", noise(seed=4), format="PNG")
    rotated(strange / "turned.jpg", 6)
    return {}


def own_table(root: Path, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Three classes in two groups, one of the combinations empty."""
    rows = []
    for label, (name, counts) in enumerate(zip(CLASSES, ((8, 4), (4, 5), (0, 6)), strict=True)):
        for context, (place, count) in enumerate(zip(("indoors", "outdoors"), counts, strict=True)):
            for number in range(count):
                path = f"photos/{name}-{place}-{number}.png"
                save(root / path, miniatures.picture(label, context, number))
                rows.append({"path": path, "label": name, "group": place})
    with open(root / settings["table"], "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return {}


def published(write: Callable[[Path], Mapping[str, Any]]) -> Callable[[Path, Mapping[str, Any]], Mapping[str, Any]]:
    """A writer of tests.data.published, of whose settings those are taken that its size asks for."""
    keep = {"imbalance_factor", "val_per_class", "held_out", "val_fraction", "test_fraction"}
    return lambda root, settings: {name: value for name, value in write(root).items() if name in keep}


def named_imagenet(root: Path) -> Mapping[str, Any]:
    settings = miniatures.imagenet_lt(root)
    (root / "classes.txt").write_text("n01440764 tench, Tinca tinca\nn01443537 goldfish\nn02012849 crane\n")
    return settings


def few_digits(root: Path, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"head_count": 6, "imbalance_factor": 6, "test_per_class": 3, "val_per_class": 2}


def few_clothes(root: Path, settings: Mapping[str, Any], each: int = 10) -> Mapping[str, Any]:
    """Both sheets of `each` pictures a class."""
    root.mkdir(parents=True, exist_ok=True)
    for first, sheet in enumerate(SHEETS.values()):
        tiles = [
            [miniatures.picture(label, 0, 100 * first + number, SIDE)[..., 0] for number in range(each)]
            for label in range(len(CLOTHES))
        ]
        (root / sheet).write_bytes(sheet_of(np.array(tiles), columns=20))
    return {"head_count": 6, "imbalance_factor": 6, "test_per_class": 3, "val_per_class": 2, "pool_per_class": 7}


def few_groups(root: Path, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """At most three training images of a group, empty groups empty, at most four classes."""
    train = {name: [min(n, 3) for n in row] for name, row in list(settings["train"].items())[:4]}
    return {"train": train, "test_per_group": 1, "val_per_group": 1}


def few_styled_clothes(root: Path, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same from sheets of so many pictures a class as that takes."""
    few_clothes(root, settings, each=20)
    return {**few_groups(root, settings), "pool_per_class": 14}


MINIATURES = {  # by kind of data set
    "digits": Miniature(few_digits, DIGITS),
    "folder": Miniature(own_folder, (*CLASSES, "strange")),
    "csv": Miniature(own_table, CLASSES, ("indoors", "outdoors")),
    "imagenet_lt": Miniature(published(named_imagenet), ("tench", "goldfish", "crane")),
    "imagenet100_lt": Miniature(published(miniatures.imagenet100_lt), ("n02869837", "n01749939", "n02488291")),
    "places_lt": Miniature(
        published(miniatures.places_lt), ("airfield", "airplane cabin", "apartment building outdoor")
    ),
    "cifar10_lt": Miniature(published(miniatures.cifar10_lt), ("airplane", "automobile", "bird")),
    "cifar100_lt": Miniature(published(miniatures.cifar100_lt), ("apple", "aquarium fish", "baby", "bear")),
    "fashion_lt": Miniature(few_clothes, CLOTHES),
    "nico": Miniature(
        published(miniatures.nico), ("dog", "hot air balloon"), ("autumn", "dim", "grass", "outdoor", "rock", "water")
    ),
    "waterbirds": Miniature(published(miniatures.waterbirds), ("landbird", "waterbird"), ("land", "water")),
    "utkface": Miniature(
        published(miniatures.utkface),
        ("under 20", "20 to 39", "40 or older"),
        ("White", "Black", "Asian", "Indian"),
    ),
}


def miniature(name: str, settings: Mapping[str, Any]) -> Miniature:
    """The miniature of a preset of params.yaml `datasets`. Grouped ones of ours take their names from the preset."""
    if write := {"grouped_digits": few_groups, "grouped_fashion": few_styled_clothes}.get(settings["kind"]):
        return Miniature(write, tuple(settings["train"])[:4], tuple(settings["contexts"]))
    assert settings["kind"] in MINIATURES, f"datasets.{name} is of a kind that has no miniature here: write one"
    return MINIATURES[settings["kind"]]
