"""The data sets by name: each gives labelled real images in disjoint splits, long-tailed where training sees them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.checks import number, whole
from src.data.digits import CLASS_NAMES, posed_digits
from src.data.imbalance import exponential_counts
from src.data.pose import PoseRange
from src.data.splits import long_tail, split_hash, split_per_class
from src.errors import InputError
from src.seeds import numpy_generator

Split = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Prepared:
    """Splits of (images uint8 (N, H, W, 3), labels (N,)): `train` is long-tailed, `pool` is all of the training images
    it was cut from (for the reference classifier), `val` selects models and judges images, `test` is for eval_acc."""

    splits: dict[str, Split]
    class_names: tuple[str, ...]

    @property
    def counts(self) -> list[int]:
        """Training images per class."""
        return np.bincount(self.splits["train"][1], minlength=len(self.class_names)).tolist()

    def hashes(self) -> dict[str, str]:
        """A name for each split's contents, whatever its order."""
        return {name: split_hash(image.tobytes() for image in images) for name, (images, _) in self.splits.items()}


def prepare_digits(settings: Mapping[str, Any], seed: int) -> Prepared:
    """scikit-learn's digits, each in one random pose, with an exponential profile from head_count down."""
    for name, least in (("image_size", 8), ("head_count", 1), ("test_per_class", 1), ("val_per_class", 1)):
        whole(f"datasets.digits.{name}", settings[name], least)
    number("datasets.digits.imbalance_factor", settings["imbalance_factor"])
    images, labels = posed_digits(
        settings["image_size"], PoseRange.from_mapping(settings["pose"]), numpy_generator("pose", seed)
    )
    parts = split_per_class(
        labels, settings["test_per_class"], settings["val_per_class"], numpy_generator("split", seed)
    )
    counts = exponential_counts(settings["head_count"], len(CLASS_NAMES), settings["imbalance_factor"])
    chosen = {
        "train": long_tail(labels, parts["train"], counts, numpy_generator("long tail", seed)),
        "val": parts["val"],
        "test": parts["test"],
        "pool": parts["train"],
    }
    return Prepared({name: (images[index], labels[index]) for name, index in chosen.items()}, CLASS_NAMES)


DATASETS: dict[str, Callable[[Mapping[str, Any], int], Prepared]] = {"digits": prepare_digits}


def prepare(settings: Mapping[str, Any], seed: int) -> Prepared:
    """The data set of a preset. Raises InputError for an unknown one, listing the known."""
    if settings["name"] not in DATASETS:
        raise InputError(f"dataset '{settings['name']}' has no loader; known: {', '.join(DATASETS)}")
    return DATASETS[settings["name"]](settings, seed)
