"""NICO++ (Zhang et al., CVPR 2023) in the split of SubpopBench (Yang et al., Change is Hard, ICML 2023): 60 classes in
six contexts, groups from hundreds of training images down to none.

Per group, shuffled, the first 75 images or as many as there are go to validation (a third) and test, the rest to
training. The reference implementation shuffles what the file system lists, in whatever order that is, so its split
is another on each machine; here the names are sorted first, and the split's hash names the result.
"""

import json
import random
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from src.data.image_files import below
from src.data.locations import missing_data, raw_folder
from src.data.prepared_data import PreparedData
from src.data.published.file_splits import grouped_source, require_disjoint
from src.runtime.errors import InputError
from src.runtime.files import read_bytes
from src.settings.dataset_settings import NicoSettings

CONTEXTS = ("autumn", "dim", "grass", "outdoor", "rock", "water")
MAPPING = "dg_label_id_mapping.json"
IMAGES = "public_dg_0416/train"
SPLITS = ("train", "val", "test")

Image = tuple[str, int, int]  # path, label, context


def load_nico(settings: NicoSettings, seed: int) -> PreparedData:
    """NICO++, group = 6 * class + context. Groups of at most held_out images have none to train on, and those of none
    may lack their folder. SubpopBench's held_out is 75, its split_seed 666.

    Raises InputError for a mapping that is no list of classes, a folder that it does not know, or a context without
    class folders.
    """
    root = raw_folder(settings)
    if absent := [name for name in (MAPPING, f"{IMAGES}/") if not below(root, name).exists()]:
        raise missing_data(root, absent, settings)
    mapping = _mapping(root / MAPPING)
    _refuse_unknown(root, mapping)
    _refuse_absent(root)
    parts: dict[str, list[Image]] = {split: [] for split in SPLITS}
    shuffle = random.Random(settings.split_seed).shuffle
    for context, context_name in enumerate(CONTEXTS):
        for class_name, label in mapping.items():
            paths = _images(root, f"{IMAGES}/{context_name}/{class_name}")
            shuffle(paths)
            held = min(len(paths), settings.held_out)
            for split, part in zip(SPLITS, (paths[held:], paths[: held // 3], paths[held // 3 : held]), strict=True):
                parts[split] += [(path, label, context) for path in part]
    require_disjoint(str(root), {split: [path for path, _, _ in part] for split, part in parts.items()})
    sources = {split: grouped_source(root, sorted(part)) for split, part in parts.items()}
    names = sorted(mapping, key=mapping.__getitem__)
    return PreparedData(
        {**sources, "pool": sources["train"]}, tuple(name.replace("_", " ") for name in names), CONTEXTS
    )


def _mapping(path: Path) -> dict[str, int]:
    """Class folder to label, in the file's order, which is that of the shuffles."""
    data = read_bytes(path)
    try:
        mapping = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not valid JSON; download it again") from None
    labels = list(mapping.values()) if isinstance(mapping, dict) else []
    if not labels or not all(type(label) is int for label in labels) or sorted(labels) != list(range(len(labels))):
        raise InputError(f"{path} does not number its classes 0, 1, ... once each; download it again")
    if strange := [name for name in mapping if name != PurePosixPath(name).name or not name.isprintable()]:
        raise InputError(f"{path} has the class {strange[0]!r}, which names no folder; download it again")
    return mapping


def _refuse_unknown(root: Path, mapping: Mapping[str, int]) -> None:
    """A folder that is read by nobody would be data lost in silence."""
    for folder in _folders(root, IMAGES):
        if folder.name not in CONTEXTS:
            raise InputError(f"{folder} is none of the contexts {', '.join(CONTEXTS)}; move it away")
        for inner in _folders(root, f"{IMAGES}/{folder.name}"):
            if inner.name not in mapping:
                raise InputError(f"{inner} is none of the classes in {MAPPING}; move it away")


def _refuse_absent(root: Path) -> None:
    """An archive that was unpacked in part would count as groups without images."""
    if absent := [context for context in CONTEXTS if not _folders(root, f"{IMAGES}/{context}")]:
        raise InputError(
            f"{root / IMAGES} holds no classes in the contexts {', '.join(absent)}; unpack the archive again"
        )


def _images(root: Path, folder: str) -> list[str]:
    return [f"{folder}/{path.name}" for path in _entries(root, folder) if path.suffix.lower() == ".jpg"]


def _folders(root: Path, folder: str) -> list[Path]:
    return [path for path in _entries(root, folder) if path.is_dir()]


def _entries(root: Path, folder: str) -> list[Path]:
    """What lies in a folder, sorted; nothing if it is not there."""
    path = below(root, folder)
    return sorted(path.iterdir()) if path.is_dir() else []
