"""An own CSV of images: columns `path` and `label`, and where there are such `group` (the context) and `split`."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from src.data.image_files import inside, is_file
from src.data.labelled_files import SPLITS, LabelledFile, prepare_files
from src.data.locations import missing_images, raw_folder
from src.data.prepared_data import PreparedData
from src.runtime.errors import InputError, listed
from src.settings.dataset_settings import CsvSettings

# What tables call the splits, whatever the case; a row without a word is one without a split of its own.
SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
    "": None,
}  # fmt: skip


def load_csv(settings: CsvSettings, seed: int) -> PreparedData:
    """The images of a CSV, whose paths are relative to the folder that it lies in; other columns do not count.

    Raises InputError with the line numbers of rows that cannot be used, and whatever `prepare_files` refuses.
    """
    place = raw_folder(settings)
    table = place if place.is_file() else place / settings.table
    if not table.is_file():
        raise missing_images(place, settings.table, settings)
    return prepare_files(table.parent, read_table(table), settings, seed)


def read_table(table: Path) -> list[LabelledFile]:
    """The rows of a CSV in UTF-8, columns by their names in any case. Rows that repeat an image alike count once.

    Raises InputError, with line numbers, for a missing column, a row of the wrong length, an empty label or group, an
    unknown split, an image that is not there or lies outside the table's folder, or one that occurs with two meanings.
    """
    seen: dict[Path, tuple[int, LabelledFile]] = {}
    problems = []
    for line, row in _rows(table):
        split = row.get("split", "")
        path = _relative(row["path"], table.parent)
        image = LabelledFile(path, row["label"], row.get("group"), SPLIT_NAMES.get(split.casefold(), split))
        problem = _problem(image, table.parent)
        if problem is None:
            first, same = seen.setdefault(inside(table.parent, image.path), (line, image))
            if (same.label, same.context, same.split) != (image.label, image.context, image.split):
                problem = f"contradicts line {first} about '{image.path}'"
        if problem is not None:
            problems.append(f"line {line} {problem}")
    if problems:
        raise InputError(f"{table} cannot be used as it is ({listed(problems)}); correct these lines", problems)
    if not seen:
        raise InputError(f"{table} has no rows; add a line for each image")
    return [image for _, image in seen.values()]


def _relative(path: str, root: Path) -> str:
    """The path below the table's folder, also where the table gives it from the top."""
    if PurePosixPath(path).is_absolute() and PurePosixPath(path).is_relative_to(root.absolute()):
        return str(PurePosixPath(path).relative_to(root.absolute()))
    return str(PurePosixPath(path))


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        reader = csv.DictReader(io.StringIO(table.read_text("utf-8-sig"), newline=""), strict=True)
        columns = [name.strip().casefold() for name in reader.fieldnames or ()]
        if not {"path", "label"} <= set(columns) or len(set(columns)) < len(columns):
            raise InputError(
                f"{table} needs a first line that names the columns path and label, once each and separated by commas, "
                f"not {','.join(columns)!r}; correct it"
            )
        reader.fieldnames = columns
        for row in reader:
            if None in row or None in row.values():
                raise InputError(f"{table} line {reader.line_num} does not have {len(columns)} fields; correct it")
            yield reader.line_num, {name: value.strip() for name, value in row.items()}
    except UnicodeDecodeError:
        raise InputError(f"{table} is not UTF-8 text; save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{table} is not a valid CSV around line {reader.line_num} ({error}); correct it") from None


def _problem(image: LabelledFile, root: Path) -> str | None:
    if not image.label:
        return "has no label"
    if image.context == "":
        return "has no group"
    if image.split not in (None, *SPLITS):
        return f"has the split '{image.split}', not one of {', '.join(SPLITS)}"
    try:
        present = is_file(inside(root, image.path))
    except InputError as error:
        return f"is refused: {str(error).partition(';')[0]}"
    return None if present else f"names '{image.path}', which is not in {root}"
