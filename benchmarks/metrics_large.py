"""Density, coverage and FID of 50,000 images a side: seconds, and the memory of a process that does nothing else.

`benchmarks.metrics --large` draws the features into files and starts `python -m benchmarks.metrics_large fid FOLDER`.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import peak_mib
from src.evaluation.density_coverage import density_coverage
from src.evaluation.fid import GaussianStatistics, fid

COUNT, DIMENSIONS = 50_000, 2048
REPEATS = {"all_four": 1, "fid": 3}
RUNS: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "all_four": density_coverage,
    "fid": lambda real, fake: fid(GaussianStatistics.of(real), GaussianStatistics.of(fake)),
}


def large(count: int = COUNT, dimensions: int = DIMENSIONS) -> dict[str, Any]:
    """What each case took and found, once or three times over; `peak_gib` includes the pages of mapped files."""
    result: dict[str, Any] = {"count": count, "dimensions": dimensions}
    with tempfile.TemporaryDirectory() as folder:
        for seed in (0, 1):
            _write(Path(folder) / f"{seed}.npy", count, dimensions, seed)
        for name, repeats in REPEATS.items():
            command = [sys.executable, "-m", "benchmarks.metrics_large", name, folder]
            runs = [
                json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout) for _ in range(repeats)
            ]
            result[name] = {key: [run[key] for run in runs] for key in runs[0]}
    return result


def _write(path: Path, count: int, dimensions: int, seed: int) -> None:
    """Normal features in float32, drawn part by part."""
    out = np.lib.format.open_memmap(path, "w+", np.float32, (count, dimensions))
    for start in range(0, count, 1000):
        part = out[start : start + 1000]
        part[:] = np.random.default_rng([seed, start]).normal(size=part.shape)
    out.flush()


def main() -> None:
    name, folder = sys.argv[1:]
    pair = [np.load(Path(folder) / f"{seed}.npy", mmap_mode="r") for seed in (0, 1)]
    start = time.perf_counter()
    values = RUNS[name](*pair)
    seconds = time.perf_counter() - start
    sys.stdout.write(json.dumps({"seconds": seconds, "values": values, "peak_gib": peak_mib() / 2**10}))


if __name__ == "__main__":
    main()
