"""What an own folder and an own table of images have in common: labelled files become splits, made where absent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.data.duplicates import originals
from src.data.image_files import reader, sketches
from src.data.imbalance import exponential_counts
from src.data.names import in_order
from src.data.prepared_data import ImageSource, PreparedData
from src.data.splits import long_tail, split_fractions
from src.runtime.errors import InputError, listed
from src.runtime.seeds import numpy_generator
from src.settings.dataset_settings import FolderSettings, LongTail

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class LabelledFile:
    """An image file by its path below the root, the name of its class, and its context and split, where given."""

    path: str
    label: str
    context: str | None = None
    split: str | None = None


def prepare_files(
    root: Path, images: Sequence[LabelledFile], settings: FolderSettings, seed: int, notes: Sequence[str] = ()
) -> PreparedData:
    """All readable images in splits. Those without a split are training images, from which a val or test split that
    no image is given to is cut, stratified by class and context; `long_tail` thins the rest, the pool keeps it whole.

    Copies of an image, told by content, stay in its split; of those given to several splits the one that is tested on,
    or else validated on, is kept.

    notes: on the files, for the user. Raises InputError for files that cannot be read (unless skip_unreadable), an
    image with two labels, a class without a training image, an empty split, or settings that the images cannot meet.
    """
    images = sorted(images, key=lambda image: image.path)
    known, unreadable = sketches(root, [image.path for image in images])
    _refuse_unreadable(unreadable, len(images), settings)
    kept = [image for image in images if image.path in known]
    first = originals([known[image.path] for image in kept])
    _refuse_contradictions(root, kept, first)
    leaking = _in_another_split(kept, first)
    copies = {kept[i].path: kept[first[i]].path for i in range(len(kept)) if first[i] != i}
    kept, first = [image for i, image in enumerate(kept) if not leaking[i]], _renumbered(first, leaking)
    classes, contexts = (in_order(names) for names in zip(*((i.label, i.context or "") for i in images), strict=True))
    if len(classes) < 2:
        raise InputError(f"{root} holds one class, '{classes[0]}'; a classifier needs at least two")
    labels = _numbers([image.label for image in kept], classes)
    grouped = images[0].context is not None
    context_numbers = _numbers([image.context or "" for image in kept], contexts) if grouped else None
    parts = _split(kept, first, settings, seed)
    without = [name for k, name in enumerate(classes) if not (labels[parts["train"]] == k).any()]
    if without:
        raise InputError(
            f"{root} has no readable training image of {listed(without)}; add one, or take the class out", without
        )
    parts["pool"] = parts["train"]
    if settings.long_tail is not None:
        parts["train"] = _thinned(labels, parts["pool"], classes, settings, settings.long_tail, seed)
    paths = tuple(image.path for image in kept)
    whole_set = ImageSource(paths, labels, reader(root, paths), context_numbers)
    sources = {name: whole_set.subset(parts[name]) for name in SPLITS}
    same = len(parts["train"]) == len(parts["pool"])
    sources["pool"] = sources["train"] if same else whole_set.subset(parts["pool"])
    notes = (*notes, *_on_copies(copies, int(leaking.sum())), *_on_size([s.size for s in known.values()], settings))
    return PreparedData(sources, classes, contexts if grouped else None, tuple(unreadable), copies, notes)


def _on_copies(copies: Mapping[str, str], left_out: int) -> Iterator[str]:
    if copies:
        pairs = listed(f"'{copy}' of '{original}'" for copy, original in copies.items())
        text = f"{len(copies)} images are copies of others, which stay in one split ({pairs})"
        yield text + (f"; {left_out} were left out, whose original judges in another split" if left_out else "")


def _on_size(sizes: Sequence[tuple[int, int]], settings: FolderSettings) -> Iterator[str]:
    """A hint where most detail is thrown away, or made up."""
    shorter, name = int(np.median([min(size) for size in sizes])), f"{settings.preset}.image_size"
    if shorter >= 2 * settings.image_size:
        yield (
            f"half of the images are {shorter} pixels or more along the shorter side, and {name}={settings.image_size} "
            f"keeps {settings.image_size / shorter:.0%} of that; a larger one keeps more detail and trains longer"
        )
    if 2 * shorter <= settings.image_size:
        yield f"half of the images are {shorter} pixels or less along the shorter side; {name}={shorter} would do"


def _refuse_unreadable(unreadable: Mapping[str, str], images: int, settings: FolderSettings) -> None:
    if unreadable and not settings.skip_unreadable:
        raise InputError(
            f"{len(unreadable)} of {images} images cannot be used ({listed(unreadable.values())}); mend them, take "
            f"them out, or set {settings.preset}.skip_unreadable to true to go on without them",
            unreadable.values(),
        )


def _refuse_contradictions(root: Path, images: Sequence[LabelledFile], first: np.ndarray) -> None:
    """InputError if copies of one image have two labels, or two contexts."""
    two = [
        f"'{image.path}' and '{original.path}'"
        for image, original in zip(images, (images[i] for i in first), strict=True)
        if (image.label, image.context) != (original.label, original.context)
    ]
    if two:
        raise InputError(
            f"{root} holds the same image under two labels ({listed(two)}); keep the right one of each", two
        )


def _in_another_split(images: Sequence[LabelledFile], first: np.ndarray) -> np.ndarray:
    """Which images (N,) bool have a copy in a split that judges more than their own, of the splits that are given."""
    ranks = np.array([SPLITS.index(image.split or "train") for image in images])
    highest = np.zeros(len(images), np.int64)
    np.maximum.at(highest, first, ranks)
    return ranks < highest[first]


def _renumbered(first: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """The originals of those that stay, the first that stays of each."""
    _, kind = np.unique(first[~left_out], return_inverse=True)
    _, earliest = np.unique(kind, return_index=True)
    return earliest[kind]


def _numbers(names: Sequence[str], known: Sequence[str]) -> np.ndarray:
    number_of = {name: k for k, name in enumerate(known)}
    return np.array([number_of[name] for name in names], np.int64)


def _split(
    images: Sequence[LabelledFile], first: np.ndarray, settings: FolderSettings, seed: int
) -> dict[str, np.ndarray]:
    """first: (N,) the original of each, itself or a copy's; copies go where it goes."""
    own = {
        name: np.array([i for i, image in enumerate(images) if (image.split or "train") == name], np.int64)
        for name in SPLITS
    }
    val, test = (
        0.0 if len(own[name]) else fraction
        for name, fraction in (("val", settings.val_fraction), ("test", settings.test_fraction))
    )
    single = own["train"][first[own["train"]] == own["train"]]
    cut = split_fractions([(images[i].label, images[i].context or "") for i in single], val, test, seed)
    chosen = {name: own["train"][np.isin(first[own["train"]], single[cut[name]])] for name in SPLITS}
    parts = {name: np.sort(np.concatenate([own[name], chosen[name]])) for name in ("val", "test")}
    parts["train"] = chosen["train"]
    for name in ("val", "test"):
        if len(parts[name]) == 0:
            raise InputError(
                f"no image is left for the {name} split: add images, a {name} split of your own, "
                f"or raise {settings.preset}.{name}_fraction"
            )
    return parts


def _thinned(
    labels: np.ndarray, pool: np.ndarray, classes: Sequence[str], settings: FolderSettings, tail: LongTail, seed: int
) -> np.ndarray:
    counts = exponential_counts(tail.head_count, len(classes), tail.imbalance_factor)
    present = np.bincount(labels[pool], minlength=len(classes)).tolist()
    short = [f"'{name}' has {n}, not {m}" for name, n, m in zip(classes, present, counts, strict=True) if n < m]
    if short:
        raise InputError(
            f"{settings.preset}.long_tail asks for more training images than there are ({listed(short)}); "
            "lower its head_count, or leave it empty to keep the folder's own counts"
        )
    return long_tail(labels, pool, counts, numpy_generator("long tail", seed))
