"""Files that appear complete or not at all, and the hashes that name their contents."""

import csv
import fcntl
import hashlib
import io
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from src.runtime.errors import InputError

_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")
LARGEST = 1_000_000  # values in one JSON or YAML file, repeated parts counted as often as they stand


def atomic_write(path: Path | str, data: bytes) -> None:
    """Write `data` as the file `path`, complete or not at all, as `writing` does."""
    with writing(path) as file:
        file.write(data)


@contextmanager
def writing(path: Path | str) -> Iterator[BinaryIO]:
    """A new file with a temporary name in the folder of `path`; at the end it is synced and takes that name.

    A reader sees the old file or the new one; a file that DVC linked into its cache is replaced, not edited. After an
    error the old file is there and nothing else; what a killed process left is removed by the next that writes there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_unfinished(path.parent.absolute())
    temporary, file = _begin(path)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk does not say for which file
            error.filename = str(path)
        raise


def _begin(path: Path) -> tuple[Path, BinaryIO]:
    while True:
        # No process number: two machines that share a folder may both have it.
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        file = open(temporary, "xb")  # noqa: SIM115
        with suppress(OSError):  # some network file systems have no locks; nothing is removed there
            fcntl.flock(file, fcntl.LOCK_EX)  # as long as its writer lives
        if temporary.exists():
            return temporary, file
        file.close()  # another writer took it for a dead one's, in the moment before it was locked


@cache
def _remove_unfinished(folder: Path) -> None:
    """Remove, once per process, the temporary files in a folder whose writers are dead."""
    for left in folder.glob(".*.tmp"):
        if _UNFINISHED.fullmatch(left.name):
            with suppress(OSError), open(left, "rb") as file:  # another process may have removed it already
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                left.unlink()


def read_bytes(path: Path | str) -> bytes:
    """Return the file's contents; InputError if it is missing or is a folder."""
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise InputError(
            f"{path} is missing; get it back with `git` or `dvc checkout`, or make it with `dvc repro`"
        ) from None


def write_json(path: Path | str, obj: Any) -> None:
    """Write JSON in insertion order; ValueError on NaN or infinity, which JSON has no word for: use null."""
    atomic_write(path, (json.dumps(obj, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode())


def read_json(path: Path | str) -> Any:
    """Return the parsed file; InputError if it is missing, truncated or holds NaN or text that is no Unicode."""
    data = read_bytes(path)
    try:
        return _sound(json.loads(data.decode(), parse_constant=_refuse))
    except (ValueError, RecursionError):  # also a number of thousands of digits, and brackets in brackets without end
        raise InputError(f"{path} is not valid JSON; delete it and run `dvc repro` or `dvc checkout`") from None


def read_yaml(path: Path | str) -> Any:
    """Return the parsed file: numbers, texts, dates, lists and mappings, never an object that a tag asks for.

    InputError if it is missing, not valid, gives a name twice in one mapping, or repeats its parts without end.
    """
    return parse_yaml(read_bytes(path), path)


def parse_yaml(data: bytes, path: Path | str) -> Any:
    """Return what `read_yaml` returns of a file with these contents. path: for the message of an InputError."""
    try:
        return _sound(yaml.load(data, _Loader))
    except yaml.reader.ReaderError:
        raise InputError(f"{path} holds characters that are not UTF-8 text; save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" near line {mark.line + 1}" if mark else ""
        if isinstance(error, _Twice):
            raise InputError(f"{path} gives {error.problem} twice{where}; keep one of them") from None
        tab = " (a tab cannot indent; use spaces)" if "'\\t'" in str(error.problem) else ""
        raise InputError(f"{path} is not valid YAML{where}{tab}; correct it") from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError, RecursionError):
        # Values that a tag, or their own form, calls dates or numbers, and that are none.
        raise InputError(f"{path} is not valid YAML; correct it") from None


def csv_rows(data: bytes) -> "csv.DictReader[str]":
    """Return a reader of the rows of a CSV in UTF-8, each a dictionary by the names in the first line."""
    return csv.DictReader(io.StringIO(data.decode()))


def write_csv(path: Path | str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one line per row under the union of the rows' keys, in order of first appearance."""
    text = io.StringIO(newline="")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(path, text.getvalue().encode())


def hash_file(path: Path | str) -> str:
    """Return the sha256 of the contents as 64 hex digits."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def hash_tree(path: Path | str) -> str:
    """Return the sha256 over a folder's sorted relative names and contents, or of one file's contents."""
    path = Path(path)
    if not path.is_dir():
        return hash_file(path)
    found = (Path(folder, name) for folder, _, names in os.walk(path, followlinks=True) for name in names)
    names = sorted(file.relative_to(path).as_posix() for file in found if file.is_file())
    lines = [f"{hash_file(path / name)}  {name}\n" for name in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class _Twice(yaml.MarkedYAMLError):
    pass


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, but equal names are refused, not the last taken, and 1e-05 is a number, as in YAML 1.2.

    So DVC writes a small number that `-S` sets.
    """

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if (key.tag, key.value) in seen:
                raise _Twice(problem=f"'{key.value}'", problem_mark=key.start_mark)
            seen.add((key.tag, key.value))
        return node


_FLOAT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789"))


def _sound(content: Any) -> Any:
    """The content, unless a text of it cannot be written again or it holds more than LARGEST values: ValueError."""
    waiting, seen = [content], 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if seen + len(waiting) > LARGEST:
            raise ValueError("too large")
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, dict):
            waiting.extend(value.keys())
            waiting.extend(value.values())
        elif isinstance(value, list | tuple | set):
            waiting.extend(value)
    return content


def _refuse(word: str) -> None:
    raise ValueError(word)
