"""Shards against loose files: what DVC takes for them, how fast training reads them, and a full-size index.

    python -m benchmarks.shards --out benchmarks/results/shards.json

The same images lie once as PNGs in class folders and once as shards. `repro` is the whole command and `stage` what it
runs, so that the difference, `repro_overhead`, and the `checkout` of removed outputs are what DVC takes; every round
has a new repository with an empty cache. `nothing` is one empty file: the start of DVC itself, which ratios "with
start" contain. Reading is a shuffled epoch in batches; ours verifies every image.
"""

import configparser
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from tqdm import tqdm

from benchmarks import shard_stage
from benchmarks.measure import alternate, command_line, machine
from src.runtime.entry import run_stage
from src.runtime.files import write_json
from src.shards.lazy_images import ShardImages
from src.shards.store import Shards

ROOT = Path(__file__).resolve().parent.parent
BATCH, WORKERS = 128, 2
KINDS = ("loose", "shards", "nothing")
PACKAGES = ("dvc", "pillow", "torchvision", "tqdm")


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--images", type=int, default=20_000, help="of 32 px, through DVC")
    parser.add_argument("--small", type=int, default=10_000, help="of 32 px, read")
    parser.add_argument("--large", type=int, default=1_000, help="of 224 px, read")
    parser.add_argument("--entries", type=int, default=1_300_000, help="of the index")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "dvc": lambda: through_dvc(folder / "dvc", options.images, options.repeats),
            "reading_32": lambda: reading(folder / "32", options.small, 32, options.repeats),
            "reading_224": lambda: reading(folder / "224", options.large, 224, options.repeats),
            "index": lambda: indexing(folder / "index", options.entries, options.repeats),
        }
        versions = {name: importlib.metadata.version(name) for name in PACKAGES}
        report: dict[str, Any] = {"machine": machine(), "versions": versions}
        for part, measure in tqdm(parts.items(), "benchmark", unit="part"):
            report[part] = measure()
    if options.out:
        write_json(options.out, report)
    print(json.dumps({part: report[part].get("ratios", report[part]) for part in parts}, indent=2))


def through_dvc(folder: Path, count: int, repeats: int) -> dict[str, Any]:
    """Seconds of `dvc repro`, of the stage's command in it, and of `dvc checkout`, of each kind in turns."""
    times: dict[str, dict[str, list[float]]] = {kind: {"repro": [], "stage": [], "checkout": []} for kind in KINDS}
    for number in range(repeats):
        for kind in KINDS[:: -1 if number % 2 else 1]:
            repository(folder, f"{sys.executable} -m benchmarks.shard_stage {kind} {count} 32 out")
            times[kind]["repro"].append(timed(["dvc", "repro", "-q"], folder))
            start, end = (float((folder / name).read_text()) for name in ("start", "end"))
            times[kind]["stage"].append(end - start)
            shutil.rmtree(folder / "out")
            times[kind]["checkout"].append(timed(["dvc", "checkout", "-q"], folder))
            shutil.rmtree(folder)
    taken = {
        kind: {
            "repro_overhead": median(np.subtract(rounds["repro"], rounds["stage"]).tolist()),
            **{step: median(seconds) for step, seconds in rounds.items()},
        }
        for kind, rounds in times.items()
    }
    ratios: dict[str, float] = {}
    for step in ("repro_overhead", "checkout"):
        loose, ours, start = (taken[kind][step] for kind in KINDS)
        ratios |= {f"{step}, with start": ours / loose, step: (ours - start) / (loose - start)}
    return {"images": count, "seconds": taken, "times": times, "ratios": ratios}


def repository(folder: Path, command: str) -> None:
    """A repository of one stage, with this one's way of linking and nothing in its cache."""
    (folder / ".dvc").mkdir(parents=True)
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc" / "config")
    config["core"]["no_scm"] = "true"
    with open(folder / ".dvc" / "config", "w") as file:
        config.write(file)
    clock = "date +%s.%N > "
    stage = {"cmd": [f"{clock}start", command, f"{clock}end"], "outs": ["out"]}
    (folder / "dvc.yaml").write_text(json.dumps({"stages": {"write": stage}}))


def timed(command: list[str], folder: Path) -> float:
    """Seconds of a command of this environment in `folder`."""
    places = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "DVC_SITE_CACHE_DIR": str(folder / ".site"),
    }
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env={**os.environ, **places}, check=True)
    return time.perf_counter() - start


def reading(folder: Path, count: int, size: int, repeats: int) -> dict[str, Any]:
    """Images per second of a shuffled epoch in batches, uint8 (B, size, size, 3)."""
    shard_stage.loose(count, size, folder / "loose")
    shard_stage.shards(count, size, folder / "shards")
    lazy, loose = ShardImages(Shards(folder / "shards")), ImageFolder(folder / "loose", transform=np.array)
    memory, order = lazy[:], np.random.default_rng(0).permutation(count)
    batches: Any = [order[i : i + BATCH] for i in range(0, count, BATCH)]
    for i in order[:BATCH]:
        np.testing.assert_array_equal(loose[i][0], memory[i])
    ways: dict[str, Callable[[], object]] = {
        "shards, on demand": lambda: sum(len(lazy[batch]) for batch in batches),
        "shards, in memory": lambda: sum(len(memory[batch]) for batch in batches),
        "ImageFolder, plain loop": lambda: sum(len(np.stack([loose[int(i)][0] for i in batch])) for batch in batches),
        f"ImageFolder, DataLoader of {WORKERS} workers": lambda: sum(
            len(images) for images, _ in DataLoader(loose, batch_sampler=batches, num_workers=WORKERS)
        ),
    }
    times = alternate(ways, repeats)
    rate = {way: count / median(times[way]) for way in ways}
    ours = rate["shards, on demand"]
    return {
        "images": count,
        "bytes_per_image": sum(path.stat().st_size for path in (folder / "loose").rglob("*.png")) / count,
        "images_per_second": rate,
        "times": times,
        "ratios": {f"on demand / {way}": ours / rate[way] for way in rate if way.startswith("ImageFolder")},
    }


def indexing(folder: Path, entries: int, repeats: int) -> dict[str, Any]:
    """Seconds and memory of a process of its own that loads an index of so many lines."""
    shard_stage.index(entries, folder)
    command = [sys.executable, "-m", "benchmarks.shard_stage", "load", str(entries), str(folder)]
    runs = [json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=-1).stdout) for _ in range(repeats)]
    middle = {name: median(run[name] for run in runs) for name in runs[0]}
    return {"entries": entries, "index_bytes": (folder / "index.jsonl").stat().st_size, **middle, "runs": runs}


if __name__ == "__main__":
    run_stage(main)
