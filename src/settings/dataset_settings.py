"""What `datasets` of params.yaml may say: the settings of each kind of data set.

Limits that need the data stand in the loaders of `src.data`, and so do the names of classes, contexts and attributes.
"""

from dataclasses import dataclass
from typing import Annotated

from src.runtime.errors import InputError
from src.settings.schema import Count, Natural, Range, Section


@dataclass(frozen=True)
class PoseRange(Section):
    """Uniform ranges: rotation and shear in degrees (+-), scale as a factor, shift in pixels (+-)."""

    rotation: float
    scale_min: float
    scale_max: float
    shift: float
    shear: float

    def __post_init__(self) -> None:
        if not 0 < self.scale_min <= self.scale_max:
            raise InputError(
                f"pose scale must satisfy 0 < scale_min <= scale_max, not {self.scale_min} and {self.scale_max}."
            )
        if min(self.rotation, self.shift, self.shear) < 0 or self.shear >= 80:
            raise InputError(
                "pose rotation, shift and shear are half-ranges: zero or positive, shear below 80 degrees."
            )


@dataclass(frozen=True, kw_only=True)
class DatasetSettings(Section):
    """What all kinds of data sets have. name: the preset's; image_size: of stored images, pixels."""

    kind: str
    image_size: Annotated[int, Range(8, 4096)]
    name: str = ""

    @property
    def preset(self) -> str:
        """What these settings are called in params.yaml."""
        return f"datasets.{self.name}"


@dataclass(frozen=True, kw_only=True)
class DigitsSettings(DatasetSettings):
    """See `src.data.long_tailed_digits`. All 1,797 images are held at once."""

    image_size: Annotated[int, Range(8, 512)]
    head_count: Count
    imbalance_factor: float
    test_per_class: Count
    val_per_class: Count
    pose: PoseRange


@dataclass(frozen=True, kw_only=True)
class GroupedSettings(DatasetSettings):
    """See `src.data.context_groups`. train: of each class the training images in each context; pose: of posed ones."""

    image_size: Annotated[int, Range(8, 512)]
    contexts: tuple[str, ...]
    train: dict[str, tuple[Natural, ...]]
    test_per_group: Count
    val_per_group: Count
    pose: PoseRange

    def __post_init__(self) -> None:
        if not self.contexts or len(set(self.contexts)) < len(self.contexts):
            raise InputError(f"{self.preset}.contexts must be a list of different contexts")
        if len(self.train) < 2:
            raise InputError(f"{self.preset}.train must give at least two classes, each with its images per context")
        for name, row in self.train.items():
            where = f"{self.preset}.train.{name}"
            if len(row) != len(self.contexts):
                raise InputError(f"{where} must list {len(self.contexts)} counts, one for each context")
            if sum(row) == 0:
                raise InputError(f"{where} leaves the class without a training image; raise one of its counts")


@dataclass(frozen=True, kw_only=True)
class FileDatasetSettings(DatasetSettings):
    """Data that lie in files. path: of them; None is data/raw/<name>."""

    path: str | None = None


@dataclass(frozen=True, kw_only=True)
class LongTail(Section):
    """An exponential profile to be cut from an own data set."""

    head_count: Count
    imbalance_factor: float


@dataclass(frozen=True, kw_only=True)
class FolderSettings(FileDatasetSettings):
    """An own folder of images. The fractions are of each class, where the folder has no such split."""

    val_fraction: float
    test_fraction: float
    skip_unreadable: bool
    long_tail: LongTail | None = None


@dataclass(frozen=True, kw_only=True)
class CsvSettings(FolderSettings):
    """An own table of images. table: its file's name, where path is the folder that holds it."""

    table: str


@dataclass(frozen=True, kw_only=True)
class ListSettings(FileDatasetSettings):
    """Published lists of images. images: their folder; None is where the lists are."""

    images: str | None = None


@dataclass(frozen=True, kw_only=True)
class CifarSettings(FileDatasetSettings):
    """CIFAR-LT. split_seed: of the published selection, apart from the run's seed."""

    imbalance_factor: float
    val_per_class: Count
    split_seed: Natural


@dataclass(frozen=True, kw_only=True)
class FashionSettings(FileDatasetSettings):
    """See `src.data.published.fashion`. pool_per_class: of the training images that the long tail is drawn from."""

    head_count: Count
    imbalance_factor: float
    test_per_class: Count
    val_per_class: Count
    pool_per_class: Count


@dataclass(frozen=True, kw_only=True)
class GroupedFashionSettings(GroupedSettings, FileDatasetSettings):
    """See `src.data.published.grouped_fashion`. pool_per_class: as of FashionSettings."""

    pool_per_class: Count


@dataclass(frozen=True, kw_only=True)
class NicoSettings(FileDatasetSettings):
    """NICO++. held_out: images of each group for validation and test together; split_seed: of the shuffles."""

    held_out: Annotated[int, Range(3)]
    split_seed: int


@dataclass(frozen=True, kw_only=True)
class UtkFaceSettings(FileDatasetSettings):
    """UTKFace. target, sensitive: two of age, gender and race; drop_races: numbers of those left out.

    The fractions are of the images of each group.
    """

    target: str
    sensitive: str
    drop_races: tuple[Annotated[int, Range(0, 4)], ...] | None
    val_fraction: float
    test_fraction: float

    def __post_init__(self) -> None:
        if self.target == self.sensitive:
            raise InputError(
                f"{self.preset}.target and {self.preset}.sensitive are both {self.target}; choose two attributes"
            )


DATASETS: dict[str, type[DatasetSettings]] = {
    "digits": DigitsSettings,
    "grouped_digits": GroupedSettings,
    "imagenet_lt": ListSettings,
    "places_lt": ListSettings,
    "imagenet100_lt": ListSettings,
    "cifar10_lt": CifarSettings,
    "cifar100_lt": CifarSettings,
    "fashion_lt": FashionSettings,
    "grouped_fashion": GroupedFashionSettings,
    "nico": NicoSettings,
    "waterbirds": FileDatasetSettings,
    "utkface": UtkFaceSettings,
    "folder": FolderSettings,
    "csv": CsvSettings,
}
