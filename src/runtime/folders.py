"""Whole folders: removed in one step, and copied as hard links, which cost no room."""

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def put_away(folder: Path) -> None:
    """Rename the folder in one step, if it is there, and remove it, with what killed processes left beside it."""
    with suppress(FileNotFoundError):
        os.rename(folder, folder.with_name(f".{folder.name}.{os.getpid()}.tmp"))
    for left in folder.parent.glob(f".{folder.name}.*.tmp"):
        shutil.rmtree(left, ignore_errors=True)


def link_copy(source: Path, target: Path) -> None:
    """Make the file or folder `target` of hard links to the source, of copies where the file system has none.

    Temporary files of killed processes (`.*.tmp`) stay behind.
    """
    if source.is_dir():
        shutil.copytree(source, target, copy_function=link, ignore=shutil.ignore_patterns(".*.tmp"))
    else:
        link(source, target)


def link(source: str | Path, target: str | Path) -> None:
    """Make the file `target` a hard link to the source, which costs no room, or a copy where that is impossible.

    So it is across file systems, and on some network ones.
    """
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def stats_of(folder: Path, names: Iterable[str]) -> list[os.stat_result]:
    """The state of each file that is, or lies below, one of these names; not the temporary ones of killed processes."""
    roots = [folder / name for name in names]
    paths = [path for root in roots for path in (root.rglob("*") if root.is_dir() else [root])]
    return [path.stat() for path in paths if path.is_file() and not path.match(".*.tmp")]


def all_linked(files: Sequence[os.stat_result]) -> bool:
    """Whether every file has another name elsewhere: in the output, or in DVC's cache."""
    return all(file.st_nlink > 1 for file in files)
