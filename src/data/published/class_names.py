"""Names of classes for data sets whose lists hold folders: WordNet ids to ImageNet's categories, places to words."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from src.data.image_files import below
from src.runtime.errors import InputError
from src.runtime.files import read_bytes

FILE = "classes.txt"
IMAGENET_CLASSES = 1000


def imagenet_names(folders: Sequence[str], images: Path) -> list[str]:
    """torchvision's categories, which stand in the order of the sorted WordNet ids: they can be told apart only from
    all 1,000 of them, found in the lists themselves or as the folders of images/train. Otherwise the id is the name.

    folders: the WordNet id of each label.
    """
    known = sorted(set(folders))
    train = below(images, "train")
    if len(known) != IMAGENET_CLASSES and train.is_dir():
        known = sorted(path.name for path in train.iterdir() if re.fullmatch("n[0-9]{8}", path.name))
    if len(known) != IMAGENET_CLASSES:
        return list(folders)
    from torchvision.models import ResNet50_Weights  # two seconds, for ImageNet alone

    categories = dict(zip(known, ResNet50_Weights.IMAGENET1K_V1.meta["categories"], strict=True))
    return [categories.get(folder, folder) for folder in folders]


def place_names(folders: Sequence[str], images: Path) -> list[str]:
    """The folders as words: shopping_mall-indoor, or shopping_mall/indoor, is shopping mall indoor."""
    return [re.sub("[-_/]", " ", folder) for folder in folders]


def overrides(root: Path) -> dict[str, str]:
    """The names of root/classes.txt, if it is there: a line is a class folder (a WordNet id), then the name, of which
    only what stands before the first comma counts. InputError with the line's number for one without a name."""
    path = below(root, FILE)
    if not path.is_file():
        return {}
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    names = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            folder, *rest = line.split(maxsplit=1)
            name = rest[0].split(",")[0].strip() if rest else ""
            if not name:
                raise InputError(f"{path} line {number} is not `<class folder> <name>`: {line.strip()!r}")
            names[folder] = name
    return names


def unique(names: Sequence[str], folders: Sequence[str]) -> tuple[str, ...]:
    """Names that occur once; each of several equal ones gets its folder in brackets, as in `crane (n02012849)`."""
    count = Counter(names)
    return tuple(
        name if count[name] == 1 else f"{name} ({folder})" for name, folder in zip(names, folders, strict=True)
    )
