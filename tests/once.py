"""What takes long to build and is only read: one folder for all workers of pytest-xdist, which the first one fills."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

WHOLE = ".whole"


def once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """The folder of that name that `build` has filled; the others wait for it, and build it if the first one failed."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / name
    with open(base / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / WHOLE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            build(folder)
            (folder / WHOLE).touch()
    return folder
