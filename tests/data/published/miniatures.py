"""Tiny data sets in the exact on-disk formats of the published ones: each function writes one into a folder and returns
the settings that load it, as params.yaml would hold them."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.data.published.cifar_writing import write_binary, write_pickled

SIDE = 40
IMAGE_SIZE = 32  # that the pipeline is to store: the tiny generator's


def picture(label: int, context: int, number: int, side: int = SIDE) -> np.ndarray:
    """A coloured disc of the class on a background of the context, with noise: uint8 (side, side, 3), never twice."""
    noise = np.random.default_rng([label, context, number])
    colours = np.random.default_rng(7).integers(40, 216, size=(2, 128, 3))
    rows, columns = np.mgrid[:side, :side] - side / 2 + noise.integers(-2, 3, size=(2, 1, 1))
    disc = (rows**2 + columns**2 < (side / 3) ** 2)[..., None]
    image = np.where(disc, colours[0, label % 128], colours[1, context % 128])
    return (image + noise.integers(-30, 31, size=image.shape)).clip(0, 255).astype(np.uint8)


def write_image(path: Path, label: int, context: int = 0, number: int = 0, side: int = SIDE) -> None:
    """A picture as a JPEG file, whatever its extension's case."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(label, context, number, side)).save(path, "JPEG", quality=90)


def imagenet_lt(root: Path, lower: bool = False, flat: bool = False) -> dict[str, Any]:
    """ImageNet-LT with three classes. lower: lists named as in imagenet_lt_train.txt; flat: val/ without folders."""
    wnids = ("n01440764", "n01443537", "n02012849")
    names = {split: f"ImageNet_LT_{split}.txt" for split in ("train", "val", "test")}
    names = {split: name.lower() for split, name in names.items()} if lower else names
    return _imagenet(root, "imagenet_lt", wnids, names, flat)


def imagenet100_lt(root: Path) -> dict[str, Any]:
    """ImageNet100-LT with three classes, in an order of labels that is not the order of the WordNet ids."""
    names = {"train": "imageNet_100_LT_train.txt", "val": "ImageNet_100_val.txt", "test": "ImageNet_100_test.txt"}
    return _imagenet(root, "imagenet100_lt", ("n02869837", "n01749939", "n02488291"), names, flat=False)


def places_lt(root: Path) -> dict[str, Any]:
    """Places-LT with three classes."""
    places = ("airfield", "airplane_cabin", "apartment_building-outdoor")
    lines: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for label, (place, train) in enumerate(zip(places, (24, 12, 6), strict=True)):
        for split, first, count in (("train", 0, train), ("val", 100, 4)):
            for number in range(first, first + count):
                lines[split].append(f"train/{place}/{number:08d}.jpg {label}")
        lines["test"] += [f"val/{place}/Places365_val_{8 * label + k:08d}.jpg {label}" for k in range(5)]
    _write_lists(root, {split: f"Places_LT_{split}.txt" for split in lines}, lines)
    return {"name": "places_lt", "kind": "places_lt", "path": str(root), "images": None, "image_size": IMAGE_SIZE}


def cifar10_lt(root: Path, binary: bool = False) -> dict[str, Any]:
    """CIFAR10-LT with three of the classes, in five batches."""
    names = ["airplane", "automobile", "bird"]
    pixels, labels = _cifar_images(len(names), 40, first=1000)
    order = np.random.default_rng(0).permutation(len(labels))
    batches = [(f"data_batch_{k}", part) for k, part in enumerate(np.array_split(order, 5), 1)]
    parts = [(name, pixels[part], labels[part]) for name, part in batches]
    parts.append(("test_batch", *_cifar_images(len(names), 8, first=100)))
    if binary:
        folder = root / "cifar-10-batches-bin"
        write_binary(folder, parts, coarse=False)
        (folder / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    else:
        write_pickled(root / "cifar-10-batches-py", parts, "labels", "batches.meta", {"label_names": names})
    return _cifar_settings(root, "cifar10_lt")


def cifar100_lt(root: Path, binary: bool = False) -> dict[str, Any]:
    """CIFAR100-LT with four of the fine classes."""
    names = ["apple", "aquarium_fish", "baby", "bear"]
    parts = [("train", *_cifar_images(len(names), 40, first=1000)), ("test", *_cifar_images(len(names), 8, first=100))]
    if binary:
        folder = root / "cifar-100-binary"
        write_binary(folder, parts, coarse=True)
        (folder / "fine_label_names.txt").write_text("\n".join(names) + "\n\n")
        (folder / "coarse_label_names.txt").write_text("aquatic_mammals\nfish\n")
    else:
        write_pickled(root / "cifar-100-python", parts, "fine_labels", "meta", {"fine_label_names": names})
    return _cifar_settings(root, "cifar100_lt")


def nico(root: Path, sizes: Mapping[str, Sequence[int]] | None = None, held_out: int = 9) -> dict[str, Any]:
    """NICO++ with images of 16 pixels. sizes: for each class the images in the six contexts, 0 for no class folder."""
    sizes = sizes or {"hot_air_balloon": (30, 20, 12, 9, 6, 11), "dog": (9, 6, 15, 21, 30, 12)}
    labels = {name: label for label, name in enumerate(sorted(sizes))}
    root.mkdir(parents=True, exist_ok=True)
    (root / "dg_label_id_mapping.json").write_text(json.dumps({name: labels[name] for name in sizes}))
    for name, counts in sizes.items():
        for context, count in enumerate(counts):
            place = ("autumn", "dim", "grass", "outdoor", "rock", "water")[context]
            for number in reversed(range(count)):  # a folder lists its files in no order to rely on
                path = root / f"public_dg_0416/train/{place}/{name}/{place}_{number:06d}.jpg"
                write_image(path, labels[name], context, number, side=16)
    return {
        "name": "nico", "kind": "nico", "path": str(root), "image_size": IMAGE_SIZE, "held_out": held_out,
        "split_seed": 666,
    }  # fmt: skip


def waterbirds(root: Path, groups: Mapping[int, Sequence[int]] | None = None, images: bool = True) -> dict[str, Any]:
    """Waterbirds. groups: for each split 0..2 the images of the groups 2 y + place; images: whether to write them."""
    groups = groups or {0: (24, 4, 3, 12), 1: (6, 6, 4, 4), 2: (8, 8, 4, 4)}
    folder = root / "waterbird_complete95_forest2water2"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for split, counts in groups.items():
        for group, count in enumerate(counts):
            for number in range(count):
                bird, place = ("001.Albatross", "100.Pelican")[number % 2], ("bamboo_forest", "ocean")[group % 2]
                name = f"{bird}/bird_{split}_{group}_{number:04d}.jpg"
                rows.append(
                    (len(rows) + 1, name, group // 2, split, group % 2, f"/{place[0]}/{place}/{number:08d}.jpg")
                )
                if images:
                    write_image(folder / name, group // 2, group % 2, 1000 * split + number)
    with open(folder / "metadata.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("img_id", "img_filename", "y", "split", "place", "place_filename"))
        writer.writerows(rows[::-1])
    return {"name": "waterbirds", "kind": "waterbirds", "path": str(root), "image_size": IMAGE_SIZE}


def utkface(root: Path) -> dict[str, Any]:
    """UTKFace with each age group and gender in every race, fewer in later races; three names lack the race, one has a
    space before its extension, one has no dot there."""
    time = 20170116174525000
    for race, count in enumerate((12, 10, 8, 6, 2)):
        for group, ages in enumerate(((1, 19), (20, 39), (40, 116))):
            for number in range(count):
                time += 1
                name = f"{ages[number % 2]}_{number // 2 % 2}_{race}_{time}.jpg.chip.jpg"
                write_image(root / "UTKFace" / name, group, race, number)
    odd = (
        "24_0_1_20170116220224657 .jpg.chip.jpg",
        "55_0_0_20170116232725357jpg.chip.jpg",
        "39_1_20170116174525125.jpg.chip.jpg",
        "61_1_20170109142408075.jpg.chip.jpg",
        "61_1_20170109150557335.jpg.chip.jpg",
    )
    for number, name in enumerate(odd, 1000):
        write_image(root / "UTKFace" / name, 0, number=number)
    return {
        "name": "utkface", "kind": "utkface", "path": str(root), "image_size": IMAGE_SIZE, "target": "age",
        "sensitive": "race", "drop_races": [4], "val_fraction": 0.2, "test_fraction": 0.2,
    }  # fmt: skip


def _imagenet(root: Path, kind: str, wnids: Sequence[str], names: Mapping[str, str], flat: bool) -> dict[str, Any]:
    lines: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for label, (wnid, train) in enumerate(zip(wnids, (24, 12, 6), strict=True)):
        for split, first, count in (("train", 0, train), ("val", 100, 4)):
            lines[split] += [f"train/{wnid}/{wnid}_{number}.JPEG {label}" for number in range(first, first + count)]
        lines["test"] += [f"val/{wnid}/ILSVRC2012_val_{8 * label + k:08d}.JPEG {label}" for k in range(5)]
    _write_lists(root, names, lines, flat)
    return {"name": kind, "kind": kind, "path": str(root), "images": None, "image_size": IMAGE_SIZE}


def _write_lists(root: Path, names: Mapping[str, str], lines: Mapping[str, Sequence[str]], flat: bool = False) -> None:
    for split, part in lines.items():
        for number, line in enumerate(part):
            path, label = line.split()
            place = Path("val") / Path(path).name if flat and split == "test" else Path(path)
            write_image(root / place, int(label), number=1000 * list(lines).index(split) + number)
        (root / names[split]).write_text("\n".join(part) + "\n")


def _cifar_settings(root: Path, kind: str) -> dict[str, Any]:
    return {
        "name": kind, "kind": kind, "path": str(root), "image_size": IMAGE_SIZE, "imbalance_factor": 5,
        "val_per_class": 6, "split_seed": 0,
    }  # fmt: skip


def _cifar_images(classes: int, per_class: int, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """pixels uint8 (N, 3072), channel by channel, and labels (N,)."""
    labels = np.arange(classes * per_class) % classes
    images = [picture(int(label), 0, first + i, side=32).transpose(2, 0, 1).ravel() for i, label in enumerate(labels)]
    return np.stack(images), labels
