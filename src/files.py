"""Files that appear complete or not at all, and the hashes that name their contents."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.errors import InputError


def atomic_write(path: Path | str, data: bytes) -> None:
    """Write `data` under a temporary name in the same folder, sync, then rename to `path`.

    A reader sees the old file or the new one; a file that DVC linked into its cache is replaced, not edited.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
    """Return the parsed file; InputError if it is missing, truncated or holds NaN."""
    try:
        return json.loads(read_bytes(path).decode(), parse_constant=_refuse)
    except (json.JSONDecodeError, UnicodeDecodeError, _NotJSON):
        raise InputError(f"{path} is not valid JSON; delete it and run `dvc repro` or `dvc checkout`") from None


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
    names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    lines = [f"{hash_file(path / name)}  {name}\n" for name in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class _NotJSON(ValueError):
    pass


def _refuse(word: str) -> None:
    raise _NotJSON(word)
