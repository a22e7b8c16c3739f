"""What every benchmark shares: its command line, presets, a description of the machine, contestants timed in turns."""

import argparse
import hashlib
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch

from src.runtime.files import read_yaml
from src.runtime.machine import processor
from src.settings.schema import Section, build
from src.synthesis.shelf import peak_gb
from src.versions.import_closure import ROOT

S = TypeVar("S", bound=Section)

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "diffusers", "transformers", "prdc", "torch-fidelity")


def command_line(description: str | None) -> argparse.ArgumentParser:
    """A benchmark's, with `--out`, the JSON file that it writes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    return parser


def preset(kind: type[S], family: str, name: str) -> S:
    """A preset of params.yaml, whether or not a run would choose it."""
    return build(kind, read_yaml(ROOT / "params.yaml")[family][name], f"{family}.{name}")


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


def compared(contestants: Mapping[str, Callable[[], object]], repeats: int, base: str) -> dict[str, dict[str, Any]]:
    """Median seconds of each, all times, and the ratio of the base's median to each."""
    times = alternate(contestants, repeats)
    medians = {name: median(values) for name, values in times.items()}
    return {
        name: {"seconds": medians[name], "times": times[name], "speedup": medians[base] / medians[name]}
        for name in contestants
    }


def peak_mib() -> float:
    """The most memory that this process has held, in MiB, shared libraries included."""
    return peak_gb(torch.device("cpu")) * 1e9 / 2**20


def _finish() -> None:
    """Wait for what the GPU still does, if anything has used it."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
