"""From a synthesis plan to finished shards, in parts that any process may make: writing, resume, and what it cost."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from src.data.plan import PlannedImage
from src.errors import InputError
from src.generators.cost import note, report
from src.generators.synthesis import Synthesiser
from src.parallel import is_main, my_share
from src.shards import shard_name, write_index, write_shard

POLL_SECONDS = 2.0
PROBE = 16  # images, to measure an image's cost


def cut(plan: Sequence[PlannedImage], shard_size: int) -> list[Sequence[PlannedImage]]:
    """The plan in consecutive parts of at most shard_size images."""
    if shard_size < 1:
        raise InputError(f"synth.shard_size={shard_size} must be at least 1.")
    return [plan[i : i + shard_size] for i in range(0, len(plan), shard_size)]


def write_plan(
    synthesiser: Synthesiser, plan: Sequence[PlannedImage], shard_size: int, folder: Path, label: str
) -> bool:
    """Make this process's share of the shards that `folder` lacks; then, on the main process, index them all.

    A shard is sampled as one batch, so its bytes do not depend on who makes it, when, or in which order; where memory
    is too short for that, they are the same up to rounding.
    Returns whether this process wrote the index, which it does once every other process's shards have
    appeared.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = cut(plan, shard_size)
    mine = my_share(len(parts))
    missing = [k for k in mine if not (folder / shard_name(k)).exists()]
    done = sum(len(parts[k]) for k in mine if k not in missing)
    total = sum(len(parts[k]) for k in mine)
    notes = folder.with_name("cost")
    pending: Future[None] = Future()
    pending.set_result(None)
    with (
        ThreadPoolExecutor(1) as writer,
        tqdm(total=total, initial=done, desc=label, unit="image", mininterval=2, disable=not is_main()) as bar,
    ):
        for k in missing:
            start = time.perf_counter()
            samples = synthesiser(parts[k])
            pending.result()  # one shard at most waits to be written
            note(notes, f"{k:05d}", len(samples), time.perf_counter() - start, synthesiser.generator.device)
            pending = writer.submit(write_shard, folder / shard_name(k), k * shard_size, samples)
            bar.update(len(samples))
        pending.result()
    if not is_main():
        return False
    while not all((folder / shard_name(k)).exists() for k in range(len(parts))):
        time.sleep(POLL_SECONDS)
    write_index(folder)
    return True


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
    )
    return {**settings, **cost}
