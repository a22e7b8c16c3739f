"""From a synthesis plan to finished shards, which any number of processes make together, and what it cost.

There is no process group. Each process begins with a stride of its own and then takes what nobody living makes
(`src.runtime.claims`), so that one may die, and more may come, at any time: start the stage's own command with
RANK=<1 or more> WORLD_SIZE=<how many> in the environment, on any machine that sees this folder at the same parameters

    RANK=7 WORLD_SIZE=8 python -m stages.synth_guided

The main process (RANK 0, or no launcher) also works, and when all shards are there checks, indexes and publishes them.
A killed process costs the shard that it was sampling, and the one before if that was still being written.
"""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from src.runtime.claims import Claims, Gone
from src.runtime.errors import InputError
from src.runtime.files import atomic_write, hash_file, read_json
from src.runtime.processes import is_main, my_share
from src.shards.codec import suffix_of
from src.shards.store import INDEX, Sample, shard_name, write_index, write_shard
from src.synthesis.cost import note, report
from src.synthesis.plan import PlannedImage
from src.synthesis.synthesiser import Synthesiser

POLL_SECONDS = 2.0
ATTEMPTS = 3  # at a shard that reads back otherwise than it was written, before the disk is to blame
PROBE = 16  # images, to measure an image's cost


def cut(plan: Sequence[PlannedImage], shard_size: int) -> list[Sequence[PlannedImage]]:
    """The plan in consecutive parts of at most shard_size images."""
    if shard_size < 1:
        raise InputError(f"synth.shard_size={shard_size} must be at least 1.")
    return [plan[i : i + shard_size] for i in range(0, len(plan), shard_size)]


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
        note(bench, f"{k:05d}", len(samples), cost, device)
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


def write_plan(
    synthesiser: Synthesiser, plan: Sequence[PlannedImage], shard_size: int, folder: Path, label: str,
    image_format: str = "png",
) -> bool:  # fmt: skip
    """Make the shards that `folder` lacks, with whoever else does; then, on the main process, check and index them all.

    A shard is sampled as one batch, so its bytes do not depend on who makes it, when, or in which order; where memory
    is too short for that, they are the same up to rounding.
    Returns whether this process wrote the index. Another one returns when all shards are there, or when the folder has
    been published meanwhile.
    """
    parts = cut(plan, shard_size)
    suffix_of(image_format)  # so that a wrong one is told before the first shard is sampled
    try:
        shelf = Shelf(folder, len(parts))
        done = sum(len(parts[k]) for k in shelf.finished())
        with tqdm(total=len(plan), initial=done, desc=label, unit="image", mininterval=2, disable=not is_main()) as bar:
            for _ in range(ATTEMPTS):
                _fill(shelf, synthesiser, parts, image_format, bar)
                if not is_main():
                    return False
                damaged = shelf.drop_damaged()
                for path in damaged:
                    tqdm.write(f"{path} is damaged, so it alone is made again", file=sys.stderr)
                if not damaged:
                    shelf.tidy()
                    write_index(folder)
                    return True
        raise InputError(f"{damaged[0]} is damaged each time it is written; check the disk, then run the stage again")
    except (Gone, OSError):
        if folder.is_dir():
            raise
        if is_main():
            raise InputError(f"{folder} was removed while it was being filled; run the stage again") from None
        return False


def _fill(
    shelf: Shelf, synthesiser: Synthesiser, parts: Sequence[Sequence[PlannedImage]], image_format: str, bar: tqdm
) -> None:
    """Make shards until all are there. The bar counts everyone's."""
    scratch, device = shelf.folder.parent, synthesiser.generator.device
    mine = my_share(len(parts))
    order = [*mine, *(k for k in reversed(range(len(parts))) if k not in mine)]  # others' from what they make last
    pending: Future[None] = Future()
    pending.set_result(None)
    with (
        tempfile.TemporaryDirectory(".tmp", f".{scratch.name}.", scratch.parent, ignore_cleanup_errors=True) as bench,
        Claims(shelf.claims) as claims,
        ThreadPoolExecutor(1) as writer,
    ):

        def put(k: int, samples: Sequence[Sample], cost: float) -> None:
            shelf.put(Path(bench), k, k * len(parts[0]), samples, image_format, cost, device)
            claims.release(shard_name(k))

        while len(done := _count(shelf, parts, bar)) < len(parts):
            made = 0
            for k in order:
                if k in done or not claims.take(shard_name(k)):
                    continue
                done = _count(shelf, parts, bar)
                if k in done:  # between the look and the claim
                    claims.release(shard_name(k))
                    continue
                start = time.perf_counter()
                samples = synthesiser(parts[k])
                # Submitted before anything else may fail or be interrupted: what is sampled gets written.
                before, pending = pending, writer.submit(put, k, samples, time.perf_counter() - start)
                before.result()  # one shard at most waits to be written while the next is sampled
                made += 1
            pending.result()
            if not made:
                time.sleep(POLL_SECONDS)


def _count(shelf: Shelf, parts: Sequence[Sequence[PlannedImage]], bar: tqdm) -> set[int]:
    done = shelf.finished()
    bar.update(sum(len(parts[k]) for k in done) - bar.n)
    return done


def _sum(name: str) -> str:
    return f"{name}.sha256"


def cost_of(synthesiser: Synthesiser, plan: Sequence[PlannedImage], notes: Path, **settings: str) -> dict[str, Any]:
    """The arm's cost, measured on the first images of its plan and from the shards' notes.

    settings: names to tell this cost from another's, such as the feedback's, since it is not versioned with the images.
    """
    plain = synthesiser.unguided() if synthesiser.value is not None else None
    cost = report(
        notes,
        lambda n: synthesiser(plan[:n]),
        None if plain is None else lambda n: plain(plan[:n]),
        min(PROBE, len(plan)),
        synthesiser.generator.device,
        synthesiser.generator.dtype,
        synthesiser.generator.compiled,
    )
    return {**settings, **cost}
