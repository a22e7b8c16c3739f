"""Data sets published as lists of images: ImageNet-LT and Places-LT (Liu et al., Large-Scale Long-Tailed Recognition in
an Open World, CVPR 2019) and ImageNet100-LT (Jiang et al., Self-Damaging Contrastive Learning, ICML 2021).

A line is `<path> <label>`. The validation images are training images of the original data set and lie under train/;
the test images are its validation images, in class folders or, as ImageNet is first unpacked, flat in val/.
"""

import lzma
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from src.data.image_files import below, inside, is_file, read_image
from src.data.locations import missing_data, raw_folder
from src.data.prepared_data import ImageSource, PreparedData
from src.data.published.class_names import imagenet_names, overrides, place_names, unique
from src.data.published.file_splits import require_disjoint
from src.runtime.errors import InputError
from src.runtime.files import read_bytes
from src.settings.dataset_settings import ListSettings

SHIPPED = Path(__file__).parent / "shipped"  # lists that may be redistributed, compressed; LICENSE is theirs
SUFFIXES = (".JPEG", ".jpeg", ".jpg", ".JPG")
ClassNamer = Callable[[Sequence[str], Path], list[str]]


@dataclass(frozen=True)
class Line:
    """One image of a list: the line's number from 1, the path as written, the label."""

    number: int
    path: str
    label: int


def load_imagenet_lt(settings: ListSettings, seed: int) -> PreparedData:
    """ImageNet-LT: 115,846 / 20,000 / 50,000 images of 1,000 classes, labels in the order of the sorted WordNet ids."""
    return _load(settings, {split: (f"ImageNet_LT_{split}.txt",) for split in ("train", "val", "test")}, imagenet_names)


def load_places_lt(settings: ListSettings, seed: int) -> PreparedData:
    """Places-LT: 62,500 / 7,300 / 36,500 images of 365 classes, named by their folders."""
    return _load(settings, {split: (f"Places_LT_{split}.txt",) for split in ("train", "val", "test")}, place_names)


def load_imagenet100_lt(settings: ListSettings, seed: int) -> PreparedData:
    """ImageNet100-LT: 12,205 / 2,000 / 5,000 images of 100 classes in an order of their own."""
    lists = {split: (f"imageNet_100_LT_{split}.txt", f"ImageNet_100_{split}.txt") for split in ("train", "val", "test")}
    return _load(settings, lists, imagenet_names)


def read_list(path: Path) -> list[Line]:
    """The lines of a list file. InputError with file and line number for one without a label, with a label that is no
    number from 0 up, or with a path that is absolute or leaves the image folder."""
    try:
        content = read_bytes(path)
        text = (lzma.decompress(content) if path.suffix == ".xz" else content).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text; download the list again") from None
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        words = line.rsplit(maxsplit=1)
        if len(words) < 2 or not re.fullmatch("[0-9]{1,9}", words[1]):
            raise InputError(f"{path} line {number} is not `<path> <label>` with a label from 0 up: {line.strip()!r}")
        name = PurePosixPath(words[0].strip())
        if name.is_absolute() or ".." in name.parts or not name.name or re.match("[A-Za-z]:|.*\\\\", str(name)):
            raise InputError(f"{path} line {number} has a path that is not below the image folder: {words[0]!r}")
        lines.append(Line(number, str(name), int(words[1])))
    return lines


def class_folder(path: str) -> str:
    """The class folder within a listed path, without the letter folder of some Places releases: train/a/airfield/1.jpg
    gives airfield; empty for a flat path such as val/1.JPEG."""
    folders = PurePosixPath(path).parts[1:-1]
    return "/".join(folders[1:] if len(folders) > 1 and len(folders[0]) == 1 else folders)


def find_image(root: Path, path: str) -> str:
    """The listed path as it lies below `root`: as written, with another case of its extension, or in a folder that was
    never sorted into classes (val/x.JPEG for val/n01440764/x.JPEG); the path itself if none exists."""
    listed = PurePosixPath(path)
    places = [listed, PurePosixPath(listed.parts[0]) / listed.name] if len(listed.parts) > 2 else [listed]
    candidates = [str(place.with_suffix(suffix)) for place in places for suffix in (listed.suffix, *SUFFIXES)]
    return next((name for name in candidates if is_file(root / name)), path)


def _load(settings: ListSettings, lists: Mapping[str, Sequence[str]], name_classes: ClassNamer) -> PreparedData:
    root = raw_folder(settings)
    paths = _list_files(root, lists, settings)
    lines = {split: read_list(path) for split, path in paths.items()}
    folders = _classes(lines, paths)
    require_disjoint(str(root), {split: [line.path for line in part] for split, part in lines.items()})
    images = raw_folder(settings, "images") if settings.images else root
    firsts = [part[0].path for part in lines.values()]
    if absent := [path for path in firsts if not is_file(inside(images, find_image(images, path)))]:
        raise missing_data(images, absent, settings, "images")
    sources = {split: _source(part, images) for split, part in lines.items()}
    own = overrides(root)
    names = [own.get(folder, name) for folder, name in zip(folders, name_classes(folders, images), strict=True)]
    return PreparedData({**sources, "pool": sources["train"]}, unique(names, folders))


def _list_files(root: Path, lists: Mapping[str, Sequence[str]], settings: ListSettings) -> dict[str, Path]:
    present = {path.name.lower(): path for path in sorted(root.glob("*.txt"), reverse=True)}
    if not {name.lower() for names in lists.values() for name in names} & present.keys():  # none of the user's own
        present = {path.stem.lower(): path for path in SHIPPED.glob("*.txt.xz")}
    paths = {
        split: next((present[name.lower()] for name in names if name.lower() in present), None)
        for split, names in lists.items()
    }
    if absent := [" or ".join(lists[split]) for split, path in paths.items() if path is None]:
        raise missing_data(root, absent, settings)
    return {split: path if path.parent == SHIPPED else below(root, path.name) for split, path in paths.items() if path}


def _classes(lines: Mapping[str, Sequence[Line]], paths: Mapping[str, Path]) -> list[str]:
    """The class folder of each label. InputError if the training list skips a label, if another list has one that it
    lacks, or if a label lies in two folders."""
    folders: dict[int, str] = {}
    for split, part in lines.items():
        for line in part:
            if split != "train" and line.label not in folders:
                raise InputError(
                    f"{paths[split]} line {line.number} has label {line.label}, which {paths['train']} lacks"
                )
            folder, known = class_folder(line.path), folders.get(line.label, "")
            if folder and known and folder != known:
                raise InputError(
                    f"{paths[split]} line {line.number} has label {line.label} in the folder '{folder}', but elsewhere "
                    f"that label lies in '{known}'; download the list again"
                )
            folders[line.label] = known or folder
        if split == "train":
            _refuse_gap(part, paths[split])
    return [folders[label] or f"class {label}" for label in range(len(folders))]


def _refuse_gap(part: Sequence[Line], path: Path) -> None:
    labels = {line.label for line in part}
    gap = next((label for label in range(len(labels)) if label not in labels), None)
    if gap is not None:
        above = next(line for line in part if line.label > gap)
        raise InputError(
            f"{path} has no image of label {gap}, though line {above.number} has label {above.label}; "
            "labels must run from 0 without a gap: download the list again"
        )


def _source(part: Sequence[Line], images: Path) -> ImageSource:
    ids = tuple(line.path for line in part)
    return ImageSource(
        ids, np.array([line.label for line in part], np.int64), lambda i: read_image(find_image(images, ids[i]), images)
    )
