"""A folder in which the stage of a synthesiser runs as real, forked processes; sampling takes no time."""

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from src.runtime.entry import run_stage
from src.runtime.scratch import shared
from src.synthesis.production import write_plan
from tests.micro import digests

PROCESSES = multiprocessing.get_context("fork")


class Number(int):
    """A planned image that is made alone, for short."""

    cohort = None


PLAN = [Number(i) for i in range(15)]
SIZE = 2
SHARDS = 8
LONG = 60  # seconds that no test lasts


class Fake:
    """Numbers become images of their own. Which process made what is written down; `hold` may stop it at one."""

    generator = SimpleNamespace(device=torch.device("cpu"))

    def __init__(self, log: Path, hold: Callable[[int], None] = lambda k: None) -> None:
        self.log, self.hold = log, hold

    def __call__(self, part: list[int]) -> list[tuple[np.ndarray, dict[str, Any]]]:
        with open(self.log, "a") as file:
            file.write(f"{part[0] // SIZE} {os.getpid()}\n")
        self.hold(part[0] // SIZE)
        images = [(np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8), {"label": i % 3}) for i in part]
        self.log.with_name(f"sampled-{part[0] // SIZE}").touch()
        return images


class Place:
    """A repository's folder in which the stage may run as any process of any number."""

    def __init__(self, root: Path) -> None:
        self.root, self.log, self.out = root, root / "log", root / "out"
        self.scratches = root / ".dvc" / "tmp" / "scratch"
        self.started: list[Any] = []

    def stage(self, hold: Callable[[int], None] = lambda k: None, out: Path | None = None) -> None:
        out = out or self.out
        with shared("synth", {"seed": 0}, out, wait=LONG) as scratch:
            made = Fake(self.log, hold)
            if scratch and write_plan(made, PLAN, SIZE, scratch.path / "shards", "test"):
                scratch.publish("shards", out)

    def start(self, rank: int, of: int, **how: Any) -> Any:
        def work() -> None:
            os.environ.update(RANK=str(rank), WORLD_SIZE=str(of))
            run_stage(lambda: self.stage(**how), shared=True)

        process = PROCESSES.Process(target=work)
        process.start()
        self.started.append(process)
        return process

    def made(self) -> list[int]:
        """Numbers of the shards that were sampled, in order; twice if they were made twice."""
        return [shard for shard, _ in self._log()]

    def makers(self) -> set[int]:
        """Ids of the processes that began a shard."""
        return {pid for _, pid in self._log()}

    def _log(self) -> list[tuple[int, int]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(int(shard), int(pid)) for shard, pid in map(str.split, lines)]

    def finished(self) -> set[str]:
        return {path.name for path in self.scratches.glob("synth-*/shards/shard-*.tar")}

    def left(self) -> list[str]:
        """What lies in the scratch, but for the work that was published last."""
        return sorted(path.name for path in self.scratches.iterdir() if path.suffix != ".done")


def contents(folder: Path) -> dict[str, str]:
    return {Path(path).name: digest for path, digest in digests(folder).items()}


def wait_for(ready: Callable[[], object]) -> None:
    end = time.monotonic() + LONG
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.01)


def ended_well(*processes: Any) -> bool:
    for process in processes:
        process.join(LONG)
    return [process.exitcode for process in processes] == [0] * len(processes)


def stop_at(number: int, mark: Path) -> Callable[[int], None]:
    """Hold for ever in this shard, and say so."""

    def hold(k: int) -> None:
        if k == number:
            mark.touch()
            time.sleep(LONG)

    return hold


def interrupted(place: Place, after: int) -> None:
    def stop(k: int) -> None:
        if k == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.stage(hold=stop)
    assert len(place.finished()) == after
