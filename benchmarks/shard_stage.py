"""What benchmarks.shards has other processes do: write the same images loose or as shards, load a large index.

python -m benchmarks.shard_stage loose|shards|nothing COUNT SIZE FOLDER
python -m benchmarks.shard_stage index|load COUNT FOLDER
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from src.shards.store import Shards, encode, shard_name, write_index, write_shard

SHARD_SIZE, CLASSES = 1000, 10


def samples(count: int, size: int) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Smooth random textures, whose PNGs are about as long as photographs'; labels in ascending order."""
    generator = np.random.default_rng(0)
    for i in range(count):
        coarse = generator.integers(256, size=(size // 8 + 2, size // 8 + 2, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
        yield np.array(image), {"label": i * CLASSES // count}


def loose(count: int, size: int, folder: Path) -> None:
    for label in range(CLASSES):
        (folder / str(label)).mkdir(parents=True)
    for i, (image, meta) in enumerate(samples(count, size)):
        (folder / str(meta["label"]) / f"{i:08d}.png").write_bytes(encode(image))


def nothing(count: int, size: int, folder: Path) -> None:
    folder.mkdir()
    (folder / "empty").touch()


def shards(count: int, size: int, folder: Path) -> None:
    every = samples(count, size)
    for k, first in enumerate(range(0, count, SHARD_SIZE)):
        write_shard(folder / shard_name(k), first, [next(every) for _ in range(min(SHARD_SIZE, count - first))])
    write_index(folder)


def index(count: int, folder: Path) -> None:
    """An index like that of guided images, whose shards are nowhere."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    with open(folder / "index.jsonl", "w") as file:
        for i in range(count):
            before, after = generator.random(2).tolist()
            meta = {
                "criterion_after": after, "criterion_before": before, "index": i % 1300, "label": i * 1000 // count,
                "prompt": "a photo of a great white shark", "seed": int(generator.integers(2**63)), "skipped": 0,
                "source": i % 115_846, "updates": 6,
            }  # fmt: skip
            line = {
                "key": f"{i:08d}", "shard": shard_name(i // SHARD_SIZE), "offset": 512 + i % SHARD_SIZE * 400_000,
                "length": 390_000, "sha256": hashlib.sha256(b"%d" % i).hexdigest(), "meta": meta,
            }  # fmt: skip
            file.write(json.dumps(line) + "\n")


def load(count: int, folder: Path) -> None:
    """Prints seconds, and the most memory this process ever had, before and after, in MiB."""
    before, start = peak_mib(), time.perf_counter()
    found = Shards(folder)
    seconds, after = time.perf_counter() - start, peak_mib()
    some = range(0, count, max(count // 1000, 1))
    start = time.perf_counter()
    sound = len(found) == count and all(found.meta(i)["label"] == found.labels[i] for i in some)
    each = (time.perf_counter() - start) / len(some)
    report = {"seconds": seconds, "peak_mib": after, "peak_mib_before": before, "seconds_per_meta": each}
    print(json.dumps(report if sound else None))


def peak_mib() -> float:
    """Linux's own mark: what getrusage reports begins with the memory of the process that started this one."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


COMMANDS: dict[str, Callable[..., None]] = {
    "loose": loose,
    "shards": shards,
    "nothing": nothing,
    "index": index,
    "load": load,
}

if __name__ == "__main__":
    what, *numbers, where = sys.argv[1:]
    COMMANDS[what](*map(int, numbers), Path(where))
