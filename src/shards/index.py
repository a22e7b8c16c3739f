"""Where each sample of a shard folder lies: index.jsonl as columns, 100 bytes a sample; metadata stays on disk."""

import functools
import os
import re
import stat
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from src.runtime.errors import InputError
from src.shards.codec import MOST_BYTES, SUFFIXES
from src.shards.tar import CLASSES, GET, KEY, META_BYTES, REPAIR, parse, spelled

INDEX = "index.jsonl"
# Plain names: no index reaches outside its folder. The file of that name may be a link, as DVC makes them into its
# cache; whatever it leads to, its bytes count only if they have the length and the hash that the index states.
SHARD = re.compile(r"shard-[0-9]{5,12}\.tar")
OPEN = 128  # files of one folder; a process may usually have 1024
LINES = 2**10  # parsed together; more at a time are slower
_KEY = re.compile(KEY)
_NAMES = tuple(SUFFIXES)


class Files:
    """A folder's files, read at given places by any number of threads.

    They stay open, which spares a network file system, and pread has no position to share, so that neither threads nor
    forked processes disturb each other.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = functools.lru_cache(OPEN)(functools.partial(_File, folder))

    def __reduce__(self) -> tuple[Any, ...]:
        return Files, (self.folder,)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """`length` bytes, or as many as the file has; InputError if there is no such file."""
        file = self._file(name)  # held: one that has left the cache, or never came in, would close before it is read
        return os.pread(file.number, length, offset)

    def size(self, name: str) -> int:
        """How many bytes the file has."""
        file = self._file(name)
        return os.fstat(file.number).st_size

    def lines(self, name: str, longest: int) -> Iterator[bytes]:
        """The file's lines with their ends; one that is longer comes in pieces."""
        file = self._file(name)
        with open(file.number, "rb", closefd=False) as text:
            yield from iter(functools.partial(text.readline, longest), b"")


class _File:
    """Closed once nobody reads it any more, even if it has left the cache before."""

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / name
        try:
            # A pipe of that name would otherwise be waited for.
            self.number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(f"{path} is missing; {REPAIR if folder.is_dir() else GET}") from None
        if not stat.S_ISREG(os.fstat(self.number).st_mode):
            raise InputError(f"{path} is not a file; remove it and {REPAIR}")

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


class Index:
    """The samples of a folder in order of their keys, as columns of N numbers.

    keys, labels, shard (the place in `names`), offset and length int64; sha256 uint8 (N, 32); jpeg bool; contexts
    int64, or None where no sample has one.
    """

    def __init__(self, folder: Path) -> None:
        """Reads the file once, line by line; InputError if it is missing or damaged anywhere."""
        self.path, self.files = folder / INDEX, Files(folder)
        self._text = Files(folder)  # so that the index read here stays open, whatever replaces it
        numbers: dict[str, int] = {}
        lines = self._text.lines(INDEX, 2 * META_BYTES)
        try:
            parts = [_columns(some, numbers) for some in iter(lambda: list(islice(lines, LINES)), [])]
            columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            if (np.diff(columns["key"]) <= 0).any():
                raise ValueError("a key occurs twice, or out of order")
            contexts = columns["context"]
            if (contexts >= 0).any() != (contexts >= 0).all():
                raise ValueError("only some have a context")
        except InputError:
            raise
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
            raise InputError(f"{self.path} is damaged; {REPAIR}") from None
        self.names = tuple(numbers)
        self.keys, self.labels, self.shard = columns["key"], columns["label"], columns["shard"]
        self.contexts = contexts if contexts[0] >= 0 else None
        self.offset, self.length, self.jpeg = columns["offset"], columns["length"], columns["jpeg"]
        self.sha256 = columns["sha256"]
        self._ends = np.cumsum(columns["bytes"])

    def __len__(self) -> int:
        return len(self.keys)

    def meta(self, i: int) -> dict[str, Any]:
        """What is recorded beside image i, read anew."""
        first = int(self._ends[i - 1]) if i else 0
        line = self._text.read(INDEX, first, int(self._ends[i]) - first)
        try:
            row = parse(line)
            if row["key"] == spelled(int(self.keys[i])):
                return dict(row["meta"])
        except (ValueError, LookupError, TypeError):
            pass
        raise InputError(f"{self.path} has changed since it was read; run the same command again")


def _columns(lines: Sequence[bytes], numbers: dict[str, int]) -> dict[str, np.ndarray]:
    """The columns of some lines; `numbers` holds the number of each shard's name, and gets the new ones."""
    rows = [parse(line) for line in lines]
    names, metas = [row["shard"] for row in rows], [row["meta"] for row in rows]
    for name in dict.fromkeys(names):
        if not SHARD.fullmatch(name):
            raise ValueError("no shard has this name")
        numbers.setdefault(name, len(numbers))
    keys = [row["key"] for row in rows]
    if not all(map(_KEY.fullmatch, keys)):
        raise ValueError("no sample has this key")
    contexts = [meta.get("context") for meta in metas]
    known = _integers([-1 if context is None else context for context in contexts], -1, CLASSES)
    if any(context == -1 for context in contexts):
        raise ValueError("-1 stands for none here alone")
    return {
        "key": np.array([int(key) for key in keys], np.int64),
        "shard": np.array([numbers[name] for name in names], np.int64),
        "offset": _integers([row["offset"] for row in rows], 0, 2**62),
        "length": _integers([row["length"] for row in rows], 1, MOST_BYTES + 1),
        "label": _integers([meta["label"] for meta in metas], 0, CLASSES),
        "context": known,
        "jpeg": np.array([_NAMES.index(row.get("format", _NAMES[0])) for row in rows], bool),
        "sha256": _hashes([row["sha256"] for row in rows]),
        "bytes": np.array([len(line) for line in lines], np.int64),
    }


def _integers(values: list[Any], least: int, below: int) -> np.ndarray:
    if set(map(type, values)) != {int}:  # True is an int, but of another type
        raise TypeError("expected integers")
    column = np.array(values, np.int64)
    if column.min() < least or column.max() >= below:
        raise ValueError("out of range")
    return column


def _hashes(digits: list[str]) -> np.ndarray:
    if set(map(len, digits)) != {64}:
        raise ValueError("a sha256 has 64 hexadecimal digits")
    return np.frombuffer(bytes.fromhex("".join(digits)), np.uint8).reshape(len(digits), 32)
