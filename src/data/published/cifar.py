"""CIFAR10-LT and CIFAR100-LT: the exponential profile of Cui et al. (CVPR 2019) in the selection that Cao et al., LDAM
(NeurIPS 2019) published and others repeat.

The published data have no validation split, and peers select models on the test images. Here the last val_per_class
images of each class, in the published random order, validate; the long tail takes the first ones. Only where a class
has no such images to spare do the two meet, and the tail gives way: the head, whose published count is all of its
images, loses val_per_class, and every other class keeps its published images exactly.
"""

import numpy as np

from src.data.imbalance import exponential_counts
from src.data.locations import missing_data, raw_folder
from src.data.prepared_data import ImageSource, PreparedData
from src.data.published.cifar_files import CIFAR10, CIFAR100, Batch, Layout, read_cifar
from src.runtime.errors import InputError
from src.settings.dataset_settings import CifarSettings


def load_cifar10_lt(settings: CifarSettings, seed: int) -> PreparedData:
    """CIFAR-10 with a long tail, from cifar-10-batches-py or cifar-10-batches-bin."""
    return _load(settings, CIFAR10)


def load_cifar100_lt(settings: CifarSettings, seed: int) -> PreparedData:
    """CIFAR-100 with a long tail over its fine classes, from cifar-100-python or cifar-100-binary."""
    return _load(settings, CIFAR100)


def long_tail_and_validation(
    labels: np.ndarray, factor: float, val_per_class: int, split_seed: int
) -> dict[str, np.ndarray]:
    """Return sorted indices {train, val, pool} of the official training images; pool is all but val.

    labels: (N,) of the official training images, the same number of each class. The order within a class is that of
    the published code: one legacy numpy generator, a shuffle per class in turn. Raises InputError for a val_per_class
    that leaves a class without a training image.
    """
    head = int(np.bincount(labels).min())
    counts = exponential_counts(head, int(labels.max()) + 1, factor)
    if val_per_class >= head:
        raise InputError(f"val_per_class {val_per_class} leaves nothing of {head} images per class; lower it")
    generator = np.random.RandomState(split_seed)  # legacy, because the published selection is this generator's
    train, val, pool = [], [], []
    for label, count in enumerate(counts):
        members = np.flatnonzero(labels == label)
        generator.shuffle(members)
        kept = members[: len(members) - val_per_class]
        train.append(kept[:count])
        pool.append(kept)
        val.append(members[len(kept) :])
    return {name: np.sort(np.concatenate(part)) for name, part in (("train", train), ("val", val), ("pool", pool))}


def _load(settings: CifarSettings, layouts: tuple[Layout, ...]) -> PreparedData:
    root = raw_folder(settings)
    data = read_cifar(root, layouts)
    if data is None:
        raise missing_data(root, [" or ".join(f"{layout.folder}/" for layout in layouts)], settings)
    train, test, names = data
    parts = long_tail_and_validation(train[1], settings.imbalance_factor, settings.val_per_class, settings.split_seed)
    official = _source(train, "train")
    splits = {name: official.subset(part) for name, part in parts.items()}
    order = {"train": splits["train"], "val": splits["val"], "test": _source(test, "test"), "pool": splits["pool"]}
    return PreparedData(order, names)


def _source(batch: Batch, split: str) -> ImageSource:
    images, labels = batch
    return ImageSource(
        tuple(f"{split}/{i:05d}" for i in range(len(labels))), labels, lambda i: np.ascontiguousarray(images[i])
    )
