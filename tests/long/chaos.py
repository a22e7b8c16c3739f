"""kill -9 at random moments of `dvc repro`, which is then run again to its end: what differs, and what was made twice.

    python -m tests.long.chaos --kills 20 --jobs 2 --out tests/long/results/chaos.json

Each trial has a fresh copy of the repository as it lies here, with an empty cache. In turns the stage's process alone
is killed, DVC alone (the stage lives on, while `dvc repro` begins again beside it) and both. The moments are drawn
uniformly over the time of an uninterrupted run, with whose outputs every trial must end. Finished trials are skipped.
"""

import argparse
import os
import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.measure import digest_of, machine
from src.runtime.entry import run_stage
from src.runtime.errors import InputError
from src.runtime.files import read_json, write_json
from tests.long import killing
from tests.long.killing import say

RERUNS = 5  # that may fail; each failure is told
CODE = ("src", "stages", "params.yaml", "dvc.yaml", "prompts", "models")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1, help="trials side by side; they share the cores")
    parser.add_argument("--small", action="store_true", help="tiny parameters, to try it")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--work", type=Path, help="folder for the copies; a temporary one if absent")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.work:
        options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        chaos = Chaos(Path(work), options.out, options.jobs, options.small, options.seed)
        chaos.measure()
        chaos.trials(options.kills)
    bad = chaos.summarise()
    if bad:
        raise InputError(f"{len(bad)} trials went wrong ({', '.join(map(str, bad))}); {options.out} says how")


class Chaos:
    """The trials, their report, and how they are run."""

    def __init__(self, work: Path, out: Path, jobs: int, small: bool, seed: int) -> None:
        self.work, self.out, self.jobs, self.changes, self.seed = work, out, jobs, killing.SMALL if small else {}, seed
        self.threads = max(1, (os.cpu_count() or 1) // jobs)
        self.lock, self.base = threading.Lock(), work / "base"
        settings = {"small": small, "jobs": jobs, "threads": self.threads, "seed": seed, "code": digest_of(*CODE)}
        known = read_json(out) if out.exists() else {}
        same = known.get("settings") == settings
        self.report = known if same else {"settings": settings, "machine": machine(), "trials": []}

    def measure(self) -> None:
        """The time and the outputs of uninterrupted runs, as many side by side as there will be trials."""
        if "uninterrupted" in self.report:
            return
        say(f"uninterrupted: {self.jobs} x dvc repro with {self.threads} threads")
        with ThreadPoolExecutor(self.jobs) as pool:
            runs = list(pool.map(self._uninterrupted, range(self.jobs)))
        if any(killing.differences(runs[0][1], hashes) for _, hashes in runs):
            raise InputError("uninterrupted runs differ from each other, so that nothing can be compared with them")
        seconds = max(seconds for seconds, _ in runs)
        self.report["uninterrupted"] = {"seconds": seconds, "outputs": runs[0][1]}
        write_json(self.out, self.report)
        say(f"uninterrupted: {seconds:.0f} s, {len(runs[0][1])} outputs")

    def trials(self, kills: int) -> None:
        done = {trial["trial"] for trial in self.report["trials"]}
        missing = [number for number in range(kills) if number not in done]
        start = time.monotonic()

        def work(number: int) -> None:
            trial = self._trial(number)
            with self.lock:
                self.report["trials"] = sorted([*self.report["trials"], trial], key=lambda row: row["trial"])
                write_json(self.out, self.report)
                here = len(self.report["trials"]) - len(done)
                left = (time.monotonic() - start) / here * (len(missing) - here)
                what = "same bytes" if not killing.problems(trial) else f"WRONG: {killing.problems(trial)}"
                say(
                    f"trial {number} ({here}/{len(missing)}): {trial['killed']} killed at {trial['moment']:.1f} s in "
                    f"{trial['stage']}, {trial['finished']} shards finished before; {what}; {left / 60:.0f} min left"
                )

        with ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(work, missing))

    def summarise(self) -> list[int]:
        """Add the sums to the report; return the trials that went wrong."""
        trials = self.report["trials"]
        self.report["summary"] = {
            "kills": len(trials),
            "stages": dict(Counter(trial["stage"] for trial in trials)),
            "different_outputs": sum(len(trial["different"]) for trial in trials),
            "shards_finished_before": sum(trial["finished"] for trial in trials),
            "of_these_made_again": sum(len(trial["remade"]) for trial in trials),
            "most_shards_in_hand": max((trial["in_hand"] for trial in trials), default=0),
            "reruns_that_failed": sum(len(trial["failures"]) for trial in trials),
            "locks_removed": sum(trial["locks_removed"] for trial in trials),
        }
        write_json(self.out, self.report)
        say(str(self.report["summary"]))
        return [trial["trial"] for trial in trials if killing.problems(trial)]

    def _uninterrupted(self, number: int) -> tuple[float, dict[str, str]]:
        repository, start = self._copy(f"plain-{number}"), time.monotonic()
        process = killing.repro(repository, self.threads)
        if process.wait():
            raise InputError(f"dvc repro failed without any kill; it said:\n{killing.log_of(repository)}")
        seconds, hashes = time.monotonic() - start, killing.outputs(repository)
        shutil.rmtree(repository.parent)
        return seconds, hashes

    def _trial(self, number: int) -> dict[str, Any]:
        draw, whom = random.Random(f"{self.seed} {number}"), killing.WHOM[number % len(killing.WHOM)]
        while True:  # until a kill comes in time
            moment = draw.uniform(0, self.report["uninterrupted"]["seconds"])
            repository, start = self._copy(f"trial-{number}"), time.monotonic()
            process = killing.repro(repository, self.threads)
            while process.poll() is None and time.monotonic() - start < moment:
                time.sleep(0.01)
            stage = killing.kill(process, whom)
            if stage:
                break
            shutil.rmtree(repository.parent)
        before = killing.finished_shards(repository)
        trial = {"trial": number, "killed": whom, "moment": moment, "stage": stage, "finished": len(before)}
        trial |= {"in_hand": killing.in_hand(repository), "published": killing.published(repository, stage)}
        failures, locks = self._rerun(repository)
        after = killing.finished_shards(repository)
        trial |= {
            "remade": sorted(name for name, stamp in before.items() if after.get(name) != stamp),
            "different": killing.differences(self.report["uninterrupted"]["outputs"], killing.outputs(repository)),
            "left_behind": killing.left_behind(repository),
            "failures": failures,
            "locks_removed": locks,
            "seconds": time.monotonic() - start,
        }
        shutil.rmtree(repository.parent)
        return trial

    def _rerun(self, repository: Path) -> tuple[list[str], int]:
        """`dvc repro` to its end; returns what it said when it failed, and how often a stale lock had to go."""
        failures, locks = [], 0
        while killing.repro(repository, self.threads).wait():
            if len(failures) == RERUNS:
                break
            failures.append(killing.log_of(repository)[-2000:])
            if "rwlock' and try again" in failures[-1]:  # as the README says
                (repository / ".dvc/tmp/rwlock").unlink(missing_ok=True)
                locks += 1
        for process, _ in killing.workers(repository):  # of a killed DVC, still at the work that is done by now
            process.wait()
        return failures, locks

    def _copy(self, name: str) -> Path:
        """A fresh copy of the repository as it was when the first was asked for."""
        with self.lock:
            if not self.base.exists():
                killing.fresh_copy(self.base, self.changes)
        shutil.rmtree(self.work / name, ignore_errors=True)
        return Path(shutil.copytree(self.base, self.work / name / "repository", symlinks=True))


if __name__ == "__main__":
    run_stage(main)
