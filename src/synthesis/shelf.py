"""The shards of one plan while they are made, beside them what each took, and the claims of those who make them."""

import os
import resource
from collections.abc import Sequence
from pathlib import Path

import torch

from src.runtime.errors import InputError
from src.runtime.files import atomic_write, hash_file, read_json, write_json
from src.runtime.processes import is_main
from src.shards.store import INDEX, Sample, shard_name, write_shard


class Shelf:
    """The shards of one plan in a folder; beside it their `sums`, the `cost` of each, and the `claims` on them.

    A shard counts if its sum (sha256, in hexadecimal) is there too, which comes before it. One without a sum is made
    again: reading it would show whether it is whole, not whether it is right. FileNotFoundError if the folder is gone.
    """

    def __init__(self, folder: Path, shards: int) -> None:
        self.folder = folder
        self.sums, self.notes, self.claims = (folder.with_name(name) for name in ("sums", "cost", "claims"))
        self.names = {shard_name(k): k for k in range(shards)}
        for path in (folder, self.sums, self.notes, self.claims):
            path.mkdir(parents=is_main(), exist_ok=True)  # where others work, the main process opened the folder

    def finished(self) -> set[int]:
        """Numbers of the finished shards. Listing a folder shows what it holds now, also on a network file system."""
        sums = set(os.listdir(self.sums))
        return {self.names[name] for name in os.listdir(self.folder) if name in self.names and _sum(name) in sums}

    def put(self, bench: Path, k: int, first: int, samples: Sequence[Sample], image_format: str, cost: float,
            device: torch.device) -> None:  # fmt: skip
        """Write shard k on the bench and move it here, after its sum. Makes no folder: a published one stays gone."""
        name, costs = shard_name(k), f"{k:05d}.json"
        digest = write_shard(bench / name, first, samples, image_format)
        atomic_write(bench / _sum(name), digest.encode())
        write_json(bench / costs, {"images": len(samples), "seconds": cost, "peak_memory_gb": peak_gb(device)})
        os.replace(bench / costs, self.notes / costs)
        os.replace(bench / _sum(name), self.sums / _sum(name))
        os.replace(bench / name, self.folder / name)

    def drop_damaged(self) -> list[Path]:
        """Remove the finished shards that are not what was written; return them."""
        damaged = []
        for k in sorted(self.finished()):
            path, known = self.folder / shard_name(k), self.sums / _sum(shard_name(k))
            try:
                if hash_file(path) == known.read_text(errors="replace").strip():
                    continue
            except FileNotFoundError:  # another main process has just removed it
                pass
            known.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            damaged.append(path)
        return damaged

    def tidy(self) -> None:
        """Remove what is no shard of this plan, and unreadable costs.

        An index or a temporary file may be of another main process, which is about to publish; those of a killed one
        are replaced, or not published.
        """
        for path in self.folder.iterdir():
            if path.name not in self.names and path.name != INDEX and not path.match(".*.tmp"):
                path.unlink(missing_ok=True)
        for path in self.notes.glob("*.json"):
            try:
                sum(read_json(path)[name] for name in ("images", "seconds", "peak_memory_gb"))
            except (InputError, KeyError, TypeError):
                path.unlink(missing_ok=True)


def _sum(name: str) -> str:
    return f"{name}.sha256"


def spent(folder: Path) -> dict[str, float]:
    """Sum of all notes, a killed run's too: images, seconds of all workers together, and the largest peak."""
    notes = [read_json(path) for path in sorted(folder.glob("*.json"))]
    return {
        "images": sum(n["images"] for n in notes),
        "seconds": sum(n["seconds"] for n in notes),
        "peak_memory_gb": max((n["peak_memory_gb"] for n in notes), default=0.0),
    }


def peak_gb(device: torch.device) -> float:
    """Peak memory of this process so far: the device's, or the process's own on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    try:  # not getrusage's, which begins with the peak of the process that started this one
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9
    except (OSError, LookupError):  # not Linux, where getrusage counts bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
