"""Fashion-MNIST with a long tail: product photographs in ten classes, of which the repository holds what is needed.

Splits go by a photograph's place among those of its class in the official order. Of the training images the first
val_per_class validate, the next pool_per_class are the pool, of which the seed draws the long tail; none beyond
FOR_SPLITS is in any split, so that a generator may see those (`src.generators.tiny.photographs`). The official test
images test, the same under every seed. Every split but train is balanced.
"""

from pathlib import Path

import numpy as np

from src.data.duplicates import originals, sketch
from src.data.imbalance import exponential_counts
from src.data.locations import raw_folder
from src.data.prepared_data import ImageSource, PreparedData
from src.data.published.fashion_files import CLASSES, OFFICIAL, SIDE, read_official, read_sheet
from src.data.splits import long_tail
from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator
from src.settings.dataset_settings import FashionSettings, GroupedFashionSettings

FOR_SPLITS = 2000  # training images of each class; the other 4,000 are a generator's
FRAMED = 32  # pixels, with a black margin: sides that halve three times


def load_fashion_lt(settings: FashionSettings, seed: int) -> PreparedData:
    """The splits; test, val and pool are the same under every seed.

    Raises InputError for more images than there are, and for a profile that leaves a class empty.
    """
    validated, asked = settings.val_per_class, settings.val_per_class + settings.pool_per_class
    official = first_of(settings, "train", asked)
    labels = np.repeat(np.arange(len(CLASSES)), asked)
    rank = np.tile(np.arange(asked), len(CLASSES))
    pool = np.flatnonzero(rank >= validated)
    counts = exponential_counts(settings.head_count, len(CLASSES), settings.imbalance_factor)
    chosen = {
        "train": long_tail(labels, pool, counts, numpy_generator("long tail", seed)),
        "val": np.flatnonzero(rank < validated),
        "pool": pool,
    }
    training = _source(official, "train")
    splits = {name: training.subset(part) for name, part in chosen.items()}
    test = _source(first_of(settings, "test", settings.test_per_class), "test")
    return PreparedData({"train": splits["train"], "val": splits["val"], "test": test, "pool": splits["pool"]}, CLASSES)


def for_generators(folder: Path) -> np.ndarray:
    """Photographs uint8 (10, n, SIDE, SIDE) by class that no split has under any settings, from the IDX files.

    Near copies of those that a split may have, the same product photographed again, are left out (11 at most of the
    4,000 of a class); every class has as many.
    """
    train, test = read_official(folder, "train"), read_official(folder, "test")
    known = np.concatenate([*train[:, :FOR_SPLITS], *test])
    seen = train[:, FOR_SPLITS:]
    shown = np.repeat(framed(np.concatenate([known, *seen]))[..., None], 3, axis=3)
    first = originals([sketch(image) for image in shown])[len(known) :].reshape(seen.shape[:2])
    others = [of[which >= len(known)] for of, which in zip(seen, first, strict=True)]
    return np.stack([of[: min(map(len, others))] for of in others])


def framed(photographs: np.ndarray) -> np.ndarray:
    """Photographs (..., SIDE, SIDE) in the middle of black frames, (..., FRAMED, FRAMED)."""
    margin = (FRAMED - SIDE) // 2
    return np.pad(photographs, [(0, 0)] * (photographs.ndim - 2) + [(margin, margin)] * 2)


def first_of(settings: FashionSettings | GroupedFashionSettings, split: str, count: int) -> np.ndarray:
    """The first `count` photographs of each class, uint8 (10, count, SIDE, SIDE), from the sheets, or the IDX files
    where more is asked for than ships. Raises InputError for more than there are, or than are for splits."""
    if split == "train" and count > FOR_SPLITS:
        raise InputError(
            f"{settings.preset} asks for {count} training images a class, and only {FOR_SPLITS} are for splits; lower "
            "its pool_per_class, or what it validates on"
        )
    found = read_sheet(raw_folder(settings), split)
    if found is None or count > found.shape[1]:
        unpacked, packed = OFFICIAL[split][0], f"{OFFICIAL[split][0]}.gz"
        folder = raw_folder(settings, holding=unpacked)
        found = read_official(folder if (folder / unpacked).exists() else raw_folder(settings, holding=packed), split)
    if count > found.shape[1]:
        raise InputError(
            f"{settings.preset} asks for {count} {split} images a class, of which Fashion-MNIST has {found.shape[1]}; "
            f"lower what it has of {split}"
        )
    return found[:, :count]


def _source(photographs: np.ndarray, split: str) -> ImageSource:
    each = photographs.shape[1]
    ids = tuple(f"{split}/{name}/{rank:04d}" for name in CLASSES for rank in range(each))
    images = photographs.reshape(-1, SIDE, SIDE)
    labels = np.repeat(np.arange(len(CLASSES)), each)
    return ImageSource(ids, labels, lambda i: np.repeat(framed(images[i])[..., None], 3, axis=2))
