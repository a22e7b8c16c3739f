"""From a synthesis plan to finished shards, which any number of processes make together.

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
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from tqdm import tqdm

from src.generators.model_folder import folders_of
from src.runtime.claims import Claims, Gone
from src.runtime.errors import InputError
from src.runtime.files import hash_file, write_json
from src.runtime.pipeline import inputs_of
from src.runtime.processes import is_main, my_share
from src.runtime.scratch import Scratch, shared
from src.settings.params import load, work_key
from src.settings.sections import Params
from src.shards.codec import suffix_of
from src.shards.store import INDEX, Sample, shard_name, write_index
from src.synthesis.plan import PlannedImage
from src.synthesis.pool import POOL
from src.synthesis.shelf import Shelf, spent
from src.synthesis.synthesiser import Synthesiser, cut

POLL_SECONDS = 2.0
ATTEMPTS = 3  # at a shard that reads back otherwise than it was written, before the disk is to blame


@dataclass(frozen=True)
class Round:
    """shards: numbers of those made in it, once the ones before are there. maker: given their folder, what samples
    them."""

    shards: range
    maker: Callable[[Path], Synthesiser]


def synthesise(
    stage: str, build: Callable[[Params], Synthesiser],
    rounds: Callable[[Params, Synthesiser, Scratch], Sequence[Round]] = lambda *_: (),
) -> None:  # fmt: skip
    """Run the synthesis stage synth_<arm>: make all images of its synthesiser's plan, as data/synth/<arm>.

    rounds: in which they are made, if not all under the synthesiser as it is.
    What that took is written to metrics/sampling/<arm>.json, with the hash of the index that it belongs to.
    """
    params, arm = load(stage), stage.removeprefix("synth_")
    out = Path("data/synth") / arm
    with shared(stage, scratch_key(stage, params), out) as scratch:
        if scratch is None:  # another process has published it
            return
        synthesiser, shards = build(params), scratch.path / "shards"
        size, image_format = params.synth.shard_size, params.synth.image_format
        made_in = rounds(params, synthesiser, scratch)
        if write_plan(synthesiser, synthesiser.plan, size, shards, f"{arm} images", image_format, made_in):
            took = spent(shards.with_name("cost"))
            write_json(f"metrics/sampling/{arm}.json", {"index": hash_file(shards / INDEX), **took})
            scratch.publish("shards", out)


def scratch_key(stage: str, params: Params) -> dict[str, Any]:
    """What the unfinished images of a synthesis stage are known by: of models, the folders of the chosen generator."""
    unread = ("models/",) if params.generator.pool else ("models/", POOL)
    inputs = [path for path in inputs_of(stage) if not path.startswith(unread)]
    reference = params.feedback.reference if params.declares("feedback") else None
    named = [os.path.expanduser(reference.path)] if reference and reference.path else []
    return work_key(params, [*inputs, *folders_of(params.generator), *(path for path in named if Path(path).exists())])


def write_plan(
    synthesiser: Synthesiser, plan: Sequence[PlannedImage], shard_size: int, folder: Path, label: str,
    image_format: str = "png", rounds: Sequence[Round] = (),
) -> bool:  # fmt: skip
    """Make the shards that `folder` lacks, with whoever else does; then, on the main process, check and index them all.

    A shard is sampled as one batch, so its bytes do not depend on who makes it, when, or in which order; where memory
    is too short for that, they are the same up to rounding.
    Returns whether this process wrote the index. Another one returns when all shards are there, or when the folder has
    been published meanwhile.
    """
    parts = cut(plan, shard_size)
    rounds = rounds or [Round(range(len(parts)), lambda folder: synthesiser)]
    suffix_of(image_format)  # so that a wrong one is told before the first shard is sampled
    try:
        shelf = Shelf(folder, len(parts))
        done = sum(len(parts[k]) for k in shelf.finished())
        with tqdm(total=len(plan), initial=done, desc=label, unit="image", mininterval=2, disable=not is_main()) as bar:
            for k in range(len(rounds)):
                _finish(shelf, parts, rounds[: k + 1], image_format, bar)
        if not is_main():
            return False
        shelf.tidy()
        write_index(folder)
        return True
    except (Gone, OSError):
        if folder.is_dir():
            raise
        if is_main():
            raise InputError(f"{folder} was removed while it was being filled; run the stage again") from None
        return False


def _finish(
    shelf: Shelf, parts: Sequence[Sequence[PlannedImage]], rounds: Sequence[Round], image_format: str, bar: tqdm
) -> None:
    """Make all shards of some rounds; on the main process whole ones, from which the next round may learn."""
    for _ in range(ATTEMPTS):
        for one in rounds:
            if not shelf.finished().issuperset(one.shards):
                _fill(shelf, one.maker(shelf.folder), parts, one.shards, image_format, bar)
        damaged = shelf.drop_damaged() if is_main() else []
        for path in damaged:
            tqdm.write(f"{path} is damaged, so it alone is made again", file=sys.stderr)
        if not damaged:
            return
    raise InputError(f"{damaged[0]} is damaged each time it is written; check the disk, then run the stage again")


def _fill(
    shelf: Shelf, synthesiser: Synthesiser, parts: Sequence[Sequence[PlannedImage]], wanted: range, image_format: str,
    bar: tqdm,
) -> None:  # fmt: skip
    """Make the wanted shards until all are there. The bar counts everyone's."""
    scratch, device = shelf.folder.parent, synthesiser.generator.device
    share = my_share(len(wanted))
    mine = wanted[share.start :: share.step]
    order = [*mine, *(k for k in reversed(wanted) if k not in mine)]  # others' from what they make last
    first = [0, *accumulate(map(len, parts))]
    pending: Future[None] = Future()
    pending.set_result(None)
    with (
        tempfile.TemporaryDirectory(".tmp", f".{scratch.name}.", scratch.parent, ignore_cleanup_errors=True) as bench,
        Claims(shelf.claims) as claims,
        ThreadPoolExecutor(1) as writer,
    ):

        def put(k: int, samples: Sequence[Sample], cost: float) -> None:
            shelf.put(Path(bench), k, first[k], samples, image_format, cost, device)
            claims.release(shard_name(k))

        while not (done := _count(shelf, parts, bar)).issuperset(wanted):
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
