"""The data sets by kind: each gives labelled real images in disjoint splits, imbalanced where training sees them."""

from collections.abc import Callable, Mapping
from typing import Any

from src.data.csv_table import load_csv
from src.data.digits import CLASS_NAMES, LARGEST, posed_digits
from src.data.grouped_digits import load_grouped_digits
from src.data.image_folder import load_folder
from src.data.imbalance import exponential_counts
from src.data.pose import PoseRange
from src.data.prepared_data import ImageSource, PreparedData
from src.data.published.cifar import load_cifar10_lt, load_cifar100_lt
from src.data.published.lists import load_imagenet100_lt, load_imagenet_lt, load_places_lt
from src.data.published.nico import load_nico
from src.data.published.utkface import load_utkface
from src.data.published.waterbirds import load_waterbirds
from src.data.splits import long_tail, split_per_class
from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator
from src.settings.checks import number, whole


def load_digits(settings: Mapping[str, Any], seed: int) -> PreparedData:
    """scikit-learn's digits, each in one random pose, with an exponential profile from head_count down."""
    whole("datasets.digits.image_size", settings["image_size"], 8, LARGEST)
    for name in ("head_count", "test_per_class", "val_per_class"):
        whole(f"datasets.digits.{name}", settings[name], 1)
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
    every = ImageSource(tuple(f"digits/{i}" for i in range(len(labels))), labels, lambda i: images[i])
    return PreparedData({name: every.subset(index) for name, index in chosen.items()}, CLASS_NAMES)


class _Settings(dict[str, Any]):
    """A preset's settings, nested ones too; to read one that params.yaml lacks is the user's mistake."""

    def __init__(self, values: Mapping[str, Any], path: str) -> None:
        nested = {k: _Settings(v, f"{path}.{k}") if isinstance(v, Mapping) else v for k, v in values.items()}
        super().__init__(nested)
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise InputError(f"params.yaml lacks {self._path}.{key}; add it there")


DATASETS: dict[str, Callable[[Mapping[str, Any], int], PreparedData]] = {
    "digits": load_digits,
    "grouped_digits": load_grouped_digits,
    "imagenet_lt": load_imagenet_lt,
    "places_lt": load_places_lt,
    "cifar10_lt": load_cifar10_lt,
    "cifar100_lt": load_cifar100_lt,
    "imagenet100_lt": load_imagenet100_lt,
    "nico": load_nico,
    "waterbirds": load_waterbirds,
    "utkface": load_utkface,
    "folder": load_folder,
    "csv": load_csv,
}


def prepare(settings: Mapping[str, Any], seed: int) -> PreparedData:
    """The data set of a preset: its `kind` names the loader, which reads the rest.

    Raises InputError for an unknown kind, listing the known, and whatever the loader refuses.
    """
    name = settings["name"]
    settings = _Settings(settings, f"datasets.{name}")
    kind = settings["kind"]
    if kind not in DATASETS:
        raise InputError(f"dataset '{name}' is of kind '{kind}', which has no loader; known: {', '.join(DATASETS)}")
    whole(f"datasets.{name}.image_size", settings["image_size"], 8, 4096)
    return DATASETS[kind](settings, seed)
