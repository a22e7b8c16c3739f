"""The data sets by kind: each gives labelled real images in disjoint splits, imbalanced where training sees them."""

from collections.abc import Callable
from typing import Any

from src.data.csv_table import load_csv
from src.data.grouped_digits import load_grouped_digits
from src.data.image_folder import load_folder
from src.data.long_tailed_digits import load_digits
from src.data.prepared_data import PreparedData
from src.data.published.cifar import load_cifar10_lt, load_cifar100_lt
from src.data.published.fashion import load_fashion_lt
from src.data.published.grouped_fashion import load_grouped_fashion
from src.data.published.lists import load_imagenet100_lt, load_imagenet_lt, load_places_lt
from src.data.published.nico import load_nico
from src.data.published.utkface import load_utkface
from src.data.published.waterbirds import load_waterbirds
from src.settings.dataset_settings import DatasetSettings

# Each takes the settings that src.settings.dataset_settings.DATASETS has for its kind, and the run's seed.
DATASETS: dict[str, Callable[[Any, int], PreparedData]] = {
    "digits": load_digits,
    "grouped_digits": load_grouped_digits,
    "imagenet_lt": load_imagenet_lt,
    "places_lt": load_places_lt,
    "cifar10_lt": load_cifar10_lt,
    "cifar100_lt": load_cifar100_lt,
    "fashion_lt": load_fashion_lt,
    "grouped_fashion": load_grouped_fashion,
    "imagenet100_lt": load_imagenet100_lt,
    "nico": load_nico,
    "waterbirds": load_waterbirds,
    "utkface": load_utkface,
    "folder": load_folder,
    "csv": load_csv,
}
PUBLISHED = {kind for kind, load in DATASETS.items() if load.__module__.startswith("src.data.published.")}


def prepare(settings: DatasetSettings, seed: int) -> PreparedData:
    """The data set of a preset, by the loader of its kind; InputError for whatever that refuses."""
    return DATASETS[settings.kind](settings, seed)
