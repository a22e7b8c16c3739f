"""The pipeline under SLURM against the pipeline alone: tasks are killed, the job is requeued, bytes must be the same.

    tests/long/slurm.sh [--full]     which installs and starts SLURM, and calls this

Two copies of the repository as it lies here: in one `dvc repro` runs without a launcher, in the other inside a batch
job with `LAUNCH="srun -n 2 python"`. There, in the middle of synth_guided, first the second task and after the requeue
the first task are killed with SIGKILL, and the job is requeued each time.
"""

import argparse
import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from src.runtime.entry import run_stage
from src.runtime.errors import InputError
from tests.long import killing
from tests.long.killing import say
from tests.micro import dvc, environment

# Small, but not so small that nothing is left to do when the kill comes.
SMALL: dict[str, Any] = {**killing.SMALL, "generators.tiny_unclip.steps": 12, "budgets.digits.per_class": 12}
GUIDED = ("synth_guided",)
KILLS = (1, 0)  # ranks, one after the other
NEW = 3  # shards that an attempt makes before the kill
RUNNING = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED")
BATCH = """#!/bin/bash
echo "attempt $((${SLURM_RESTART_COUNT:-0} + 1)) of job $SLURM_JOB_ID"
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] && [ -e .dvc/tmp/rwlock ]; then
    # No other dvc works in this copy, so whatever holds the lock was killed.
    echo "removing .dvc/tmp/rwlock, left by the killed attempt"
    rm .dvc/tmp/rwlock
fi
export LAUNCH="srun -n 2 python"
exec python -m dvc repro
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="empty folder on a local disk")
    parser.add_argument("--full", action="store_true", help="the default parameters")
    options = parser.parse_args()
    changes = {} if options.full else SMALL
    reference, under_slurm = (
        killing.fresh_copy(options.work / name / "repository", changes) for name in ("plain", "slurm")
    )

    say(f"plain: dvc repro with {'the default' if options.full else 'small'} parameters")
    start = time.perf_counter()
    dvc(reference, "repro")
    plain_seconds = time.perf_counter() - start
    say(f"plain: {plain_seconds:.0f} s")

    job = Job(under_slurm, limit=600 + 5 * plain_seconds)
    shards_at_kills = [job.kill(rank) for rank in KILLS]
    job.finish()
    say(f"slurm: the job's log\n{job.log()}")
    outputs = killing.outputs(reference)
    differences = killing.differences(outputs, killing.outputs(under_slurm))
    kept = {name: stamp for shards in reversed(shards_at_kills) for name, stamp in shards.items()}  # as first seen
    finished = killing.finished_shards(under_slurm, GUIDED)
    remade = [name for name, stamp in kept.items() if finished.get(name) != stamp]
    left = killing.left_behind(under_slurm)
    say(f"outputs compared: {len(outputs)}, different: {len(differences)}")
    say(f"guided shards: {len(finished)}, finished before the last kill: {len(kept)}, of these remade: {len(remade)}")
    say(f"unfinished work left behind: {', '.join(left) or 'none'}")
    say(f"seconds: plain {plain_seconds:.0f}, under SLURM with {len(KILLS)} requeues {job.seconds():.0f}")
    if differences or remade or left:
        raise InputError(
            f"the run under SLURM differs from the plain run ({'; '.join([*differences, *remade, *left])}); "
            "compare the stages named here"
        )
    say("same bytes")


class Job:
    """`dvc repro` in a batch job that may be requeued."""

    def __init__(self, repository: Path, limit: float) -> None:
        self.repository, self.limit, self.start = repository, limit, time.perf_counter()
        script = repository.parent / "job.sh"
        script.write_text(BATCH)
        self.output = repository.parent / "job.log"
        self.id = self._slurm(
            "sbatch", "--parsable", "--requeue", "--ntasks=2", f"--chdir={repository}", "--open-mode=append",
            f"--output={self.output}", str(script),
        ).strip()  # fmt: skip
        say(f"slurm: job {self.id} submitted")

    def kill(self, rank: int) -> dict[str, int]:
        """Kill one task once this attempt at synth_guided has made NEW shards, and requeue; return the shards then."""
        made = partial(killing.finished_shards, self.repository, GUIDED)
        before = len(made())
        self._wait(lambda: len(made()) >= before + NEW, f"make {NEW} more shards")
        task, shards = self._task(rank), made()
        if task is None:
            raise InputError("synth_guided ended before its task could be killed; make SMALL a little larger")
        os.kill(task, signal.SIGKILL)
        say(f"slurm: killed task {rank} (process {task}) of synth_guided with {len(shards)} shards made; requeue")
        self._slurm("scontrol", "requeue", self.id)
        self._wait(lambda: self._task(rank) is None and self.state() != "RUNNING", "stop for the requeue")
        return shards

    def finish(self) -> None:
        """Wait for the end of the job, which must be a good one."""
        self._wait(lambda: self.state() not in RUNNING, "end")
        if self.state() != "COMPLETED":
            raise InputError(f"job {self.id} is {self.state()}; its log says:\n{self.log()}")

    def state(self) -> str:
        fields = self._slurm("scontrol", "--oneliner", "show", "job", self.id).split()
        return next(field.partition("=")[2] for field in fields if field.startswith("JobState="))

    def seconds(self) -> float:
        return time.perf_counter() - self.start

    def log(self) -> str:
        """What the job wrote, without progress bars."""
        lines = self.output.read_text().splitlines() if self.output.exists() else []
        kept = [line for line in lines if line.strip() and "it/s" not in line and "image/s" not in line]
        return "\n".join(f"    {line}" for line in kept)

    def _wait(self, ready: Callable[[], bool], what: str) -> None:
        checked = 0.0
        while not ready():
            if time.perf_counter() - checked > 1:  # the shards are looked at more often than SLURM is asked
                checked = time.perf_counter()
                if self.state() not in RUNNING and not ready():
                    raise InputError(f"job {self.id} ended, but was to {what}; its log says:\n{self.log()}")
                if self.seconds() > self.limit:
                    raise InputError(f"job {self.id} did not {what} in time; its log says:\n{self.log()}")
            time.sleep(0.02)

    def _task(self, rank: int) -> int | None:
        """The process that is this rank of synth_guided; srun and the shell above it are not meant."""
        marks = {f"SLURM_JOB_ID={self.id}".encode(), f"SLURM_PROCID={rank}".encode()}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().split(b"\0")
                mine = b"python" in command[0] and b"stages.synth_guided" in command
                if mine and marks <= set((folder / "environ").read_bytes().split(b"\0")):
                    return int(folder.name)
            except OSError:  # it ended while it was read
                continue
        return None

    def _slurm(self, *command: str) -> str:
        done = subprocess.run(command, env=environment(self.repository), text=True, capture_output=True)
        if done.returncode:
            raise InputError(f"{' '.join(command)} said: {done.stderr.strip()}; see that SLURM is running")
        return done.stdout


if __name__ == "__main__":
    run_stage(main)
