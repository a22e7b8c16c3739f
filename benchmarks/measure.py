"""What every benchmark shares: a description of the machine, and contestants timed in turns."""

import hashlib
import importlib.metadata
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from src.runtime.machine import processor
from src.versions.import_closure import ROOT

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "diffusers", "transformers", "prdc", "torch-fidelity")


def machine() -> dict[str, Any]:
    """The processor, its cores and those used, the GPU if any, versions of Python and libraries, and the date."""
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "date": datetime.now(UTC).date().isoformat(),
    }


def digest_of(*names: str) -> str:
    """A hash of these files of the repository, and of all below these folders: what a result belongs to."""
    paths = [path for name in names for path in ((ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name])]
    kept = sorted(path for path in paths if path.is_file() and path.suffix != ".pyc")
    lines = [f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in kept]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def alternate(contestants: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each run of each contestant, in `repeats` rounds in which all take turns, every other one backwards.

    So whatever else the machine does meets all of them alike. The first round, which warms up, counts: take medians.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(repeats):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            _finish()
            start = time.perf_counter()
            contestants[name]()
            _finish()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def peak_mib() -> float:
    """The most memory that this process has held, in MiB, shared libraries included."""
    # Linux's own mark, of this process alone: what getrusage reports starts from the parent's.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10


def _finish() -> None:
    """Wait for what the GPU still does, if anything has used it."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
