"""What benchmarks.shards has other processes do: write the same images loose or as shards, load a large index.

python -m benchmarks.shard_stage loose|shards|nothing COUNT SIZE FOLDER
python -m benchmarks.shard_stage index|load COUNT FOLDER
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
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
    stream = samples(count, size)
    for k, first in enumerate(range(0, count, SHARD_SIZE)):
        write_shard(folder / shard_name(k), first, list(islice(stream, SHARD_SIZE)))
    write_index(folder)


def index(count: int, folder: Path) -> None:
    """An index like that of guided images of a thousand classes, whose shards are nowhere."""
    draw = np.random.default_rng(0)
    metas = (guided_meta(i * 1000 // count, i % 1300, 115_846, draw) for i in range(count))
    write_invented_index(folder, metas, SHARD_SIZE)


def guided_meta(label: int, number: int, real: int, draw: np.random.Generator) -> dict[str, Any]:
    """What is recorded beside a guided image, the number-th of its class; real: images that it may be made from."""
    before, after = draw.random(2).tolist()
    return {
        "criterion_after": after, "criterion_before": before, "index": number, "label": label,
        "prompt": f"a photo of a class {label}", "seed": int(draw.integers(2**63)), "skipped": 0,
        "source": int(draw.integers(real)), "updates": 6,
    }  # fmt: skip


def write_invented_index(folder: Path, metas: Iterable[dict[str, Any]], shard_size: int) -> None:
    """index.jsonl as a stage writes it, a line per image, with invented offsets and hashes; there are no images."""
    folder.mkdir(parents=True)
    with open(folder / "index.jsonl", "w") as file:
        for i, meta in enumerate(metas):
            line = {
                "key": f"{i:08d}", "shard": shard_name(i // shard_size), "offset": 512 + i % shard_size * 400_000,
                "length": 390_000, "sha256": hashlib.sha256(b"%d" % i).hexdigest(), "meta": meta,
            }  # fmt: skip
            file.write(json.dumps(line) + "\n")


def load(count: int, folder: Path) -> None:
    """Prints seconds, and the most memory this process ever had, before and after, in MiB."""
    before, start = peak_mib(), time.perf_counter()
    loaded = Shards(folder)
    seconds, after = time.perf_counter() - start, peak_mib()
    sample = range(0, count, max(count // 1000, 1))
    start = time.perf_counter()
    sound = len(loaded) == count and all(loaded.meta(i)["label"] == loaded.labels[i] for i in sample)
    per_meta = (time.perf_counter() - start) / len(sample)
    report = {"seconds": seconds, "peak_mib": after, "peak_mib_before": before, "seconds_per_meta": per_meta}
    print(json.dumps(report if sound else None))


def peak_mib() -> float:
    """Linux's own mark: what getrusage reports begins with the memory of the process that started this one."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


COMMANDS: dict[str, Callable[..., None]] = {
    command.__name__: command for command in (loose, shards, nothing, index, load)
}

if __name__ == "__main__":
    name, *numbers, target = sys.argv[1:]
    COMMANDS[name](*map(int, numbers), Path(target))
