"""Waterbirds (Sagawa et al., Distributionally Robust Neural Networks for Group Shifts, ICLR 2020): birds pasted on land
or water, where the place tells the class in 95 % of the training images and in half of the others."""

import csv
from collections.abc import Mapping
from pathlib import Path

from src.data.image_files import below
from src.data.locations import missing_data, raw_folder
from src.data.prepared_data import PreparedData
from src.data.published.file_splits import grouped_source, require_disjoint
from src.runtime.errors import InputError
from src.settings.dataset_settings import FileDatasetSettings

FOLDER = "waterbird_complete95_forest2water2"
TABLE = "metadata.csv"
CLASSES = ("landbird", "waterbird")
CONTEXTS = ("land", "water")
SPLITS = {"0": "train", "1": "val", "2": "test"}
COLUMNS = ("img_filename", "y", "split", "place")


def load_waterbirds(settings: FileDatasetSettings, seed: int) -> PreparedData:
    """Waterbirds in its published splits, group = 2 * y + place. Raises InputError naming the line of metadata.csv that
    lacks a value or has another than 0 and 1 (0, 1 and 2 for the split)."""
    root = raw_folder(settings)
    table = next((path for name in (f"{FOLDER}/{TABLE}", TABLE) if (path := below(root, name)).is_file()), None)
    if table is None:
        raise missing_data(root, [f"{FOLDER}/{TABLE}"], settings)
    rows = _rows(table)
    parts = {split: sorted(row[1:] for row in rows if row[0] == split) for split in SPLITS.values()}
    require_disjoint(str(table), {split: [path for path, _, _ in part] for split, part in parts.items()})
    sources = {split: grouped_source(table.parent, part) for split, part in parts.items()}
    return PreparedData({**sources, "pool": sources["train"]}, CLASSES, CONTEXTS)


def _rows(path: Path) -> list[tuple[str, str, int, int]]:
    """(split, image, label, context) of each line."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if lacking := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
                raise InputError(f"{path} lacks the columns {', '.join(lacking)}; download it again")
            return [_row(path, reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path} is not a CSV text; download it again") from None


def _row(path: Path, line: int, row: Mapping[str, str | None]) -> tuple[str, str, int, int]:
    image, label, split, place = (row[column] for column in COLUMNS)
    if not image or split not in SPLITS or label not in ("0", "1") or place not in ("0", "1"):
        raise InputError(f"{path} line {line} needs an img_filename, y and place of 0 or 1, and a split of 0, 1 or 2")
    return SPLITS[split], image, int(label), int(place)
