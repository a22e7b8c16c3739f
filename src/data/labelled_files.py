"""What an own folder and an own table of images have in common: labelled files become splits, made where absent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.data.image_files import files, unreadable
from src.data.imbalance import exponential_counts
from src.data.names import in_order
from src.data.prepared_data import ImageSource, PreparedData
from src.data.splits import long_tail, split_fractions
from src.runtime.errors import InputError, listed
from src.runtime.seeds import numpy_generator
from src.settings.checks import flag, number, whole

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class LabelledFile:
    """An image file by its path below the root, the name of its class, and its context and split, where given."""

    path: str
    label: str
    context: str | None = None
    split: str | None = None


def prepared(root: Path, images: Sequence[LabelledFile], settings: Mapping[str, Any], seed: int) -> PreparedData:
    """All readable images in splits. Those without a split are training images, from which a val or test split that
    no image is given to is cut, stratified by class and context; `long_tail` thins the rest, the pool keeps it whole.

    Raises InputError for files that cannot be read (unless skip_unreadable), a class without a training image, an
    empty split, or settings that the images cannot meet.
    """
    preset = f"datasets.{settings['name']}"
    images = sorted(images, key=lambda image: image.path)
    skipped = _unreadable(root, images, preset, flag(f"{preset}.skip_unreadable", settings["skip_unreadable"]))
    kept = [image for image in images if image.path not in skipped]
    classes, contexts = (in_order(names) for names in zip(*((i.label, i.context or "") for i in images), strict=True))
    if len(classes) < 2:
        raise InputError(f"{root} holds one class, '{classes[0]}'; a classifier needs at least two")
    labels = _numbers([image.label for image in kept], classes)
    grouped = images[0].context is not None
    places = _numbers([image.context or "" for image in kept], contexts) if grouped else None
    parts = _split(kept, settings, preset, seed)
    without = [name for k, name in enumerate(classes) if not (labels[parts["train"]] == k).any()]
    if without:
        raise InputError(f"{root} has no readable training image of {listed(without)}; add one, or take the class out")
    parts["pool"] = parts["train"]
    if settings.get("long_tail"):
        parts["train"] = _thinned(labels, parts["pool"], classes, settings["long_tail"], preset, seed)
    paths = tuple(image.path for image in kept)
    whole_set = ImageSource(paths, labels, files(root, paths), places)
    sources = {name: whole_set.subset(parts[name]) for name in SPLITS}
    same = len(parts["train"]) == len(parts["pool"])
    sources["pool"] = sources["train"] if same else whole_set.subset(parts["pool"])
    return PreparedData(sources, classes, contexts if grouped else None, tuple(skipped))


def not_there(folder: Path, looked_for: str, settings: Mapping[str, Any]) -> InputError:
    """The sentence for own data that is not where the preset says."""
    name = settings["name"]
    return InputError(
        f"dataset '{name}' lacks {looked_for}, looked for in {folder}; put your images there, or set "
        f"datasets.{name}.path in params.yaml to where they lie"
    )


def _unreadable(root: Path, images: Sequence[LabelledFile], preset: str, skip: bool) -> dict[str, str]:
    bad = unreadable(root, [image.path for image in images])
    if bad and not skip:
        raise InputError(
            f"{len(bad)} of {len(images)} images cannot be used ({listed(bad.values())}); mend them, take them out, "
            f"or set {preset}.skip_unreadable to true to go on without them"
        )
    return bad


def _numbers(names: Sequence[str], known: Sequence[str]) -> np.ndarray:
    number_of = {name: k for k, name in enumerate(known)}
    return np.array([number_of[name] for name in names], np.int64)


def _split(
    images: Sequence[LabelledFile], settings: Mapping[str, Any], preset: str, seed: int
) -> dict[str, np.ndarray]:
    given = {
        name: np.array([i for i, image in enumerate(images) if (image.split or "train") == name], np.int64)
        for name in SPLITS
    }
    shares = {
        name: 0.0 if len(given[name]) else number(f"{preset}.{name}_fraction", settings[f"{name}_fraction"])
        for name in ("val", "test")
    }
    strata = [(images[i].label, images[i].context or "") for i in given["train"]]
    made = split_fractions(strata, shares["val"], shares["test"], seed)
    parts = {name: np.sort(np.concatenate([given[name], given["train"][made[name]]])) for name in ("val", "test")}
    parts["train"] = given["train"][made["train"]]
    for name in ("val", "test"):
        if len(parts[name]) == 0:
            raise InputError(
                f"no image is left for the {name} split: add images, a {name} split of your own, "
                f"or raise {preset}.{name}_fraction"
            )
    return parts


def _thinned(
    labels: np.ndarray, pool: np.ndarray, classes: Sequence[str], tail: Mapping[str, Any], preset: str, seed: int
) -> np.ndarray:
    head = whole(f"{preset}.long_tail.head_count", tail["head_count"], 1)
    factor = number(f"{preset}.long_tail.imbalance_factor", tail["imbalance_factor"])
    counts = exponential_counts(head, len(classes), factor)
    there = np.bincount(labels[pool], minlength=len(classes)).tolist()
    short = [f"'{name}' has {n}, not {m}" for name, n, m in zip(classes, there, counts, strict=True) if n < m]
    if short:
        raise InputError(
            f"{preset}.long_tail asks for more training images than there are ({listed(short)}); lower its head_count, "
            "or leave it empty to keep the folder's own counts"
        )
    return long_tail(labels, pool, counts, numpy_generator("long tail", seed))
