"""Experiments on their way, through DVC's own `dvc exp run`: those of one seed in turn, seeds side by side.

Later experiments of a seed find the stages of earlier ones in the run-cache. Who has no seed left helps with another's.
"""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock
from types import MappingProxyType

from src.studies.experiments import Experiment, override, overrides
from src.versions.git import experiments as kept_experiments
from src.versions.git import git

LOGS = Path(".dvc/tmp/studies")
SHEETS = "draw_sheets"  # a stage that some studies alone need
TARGETS = ("summarise",)  # with all that it needs, the accuracies and the quality of the images
POLL = 1.0  # seconds within which an interruption is heard


@dataclass(frozen=True)
class Outcome:
    """How one experiment ended: seconds, None if it was made elsewhere, and why it failed if it did."""

    experiment: Experiment
    seconds: float | None
    error: str | None


def run_all(
    experiments: Iterable[Experiment],
    jobs: int,
    finished: Callable[[Outcome], None],
    started: Callable[[Experiment], None] = lambda experiment: None,
    targets: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Run experiments, `jobs` seeds side by side; a failed one does not stop others.

    started, finished: are told of every experiment and its outcome, of one at a time. Ctrl-C and SIGTERM end the
    running ones, once DVC has the work tree back in place; a second at once. targets: the stages that each is to
    reach, by its name (TARGETS).
    """
    running: set[subprocess.Popen[bytes]] = set()
    chains: dict[int, deque[Experiment]] = {}
    for experiment in experiments:
        chains.setdefault(experiment.seed, deque()).append(experiment)
    jobs = max(1, min(jobs, sum(map(len, chains.values()))))
    waiting, begun = deque(chains.values()), [deque[Experiment]()]
    stop, turn = Event(), Lock()
    free: SimpleQueue[set[int]] = SimpleQueue()
    for cores in shares(jobs):
        free.put(cores)

    def follow() -> None:
        cores = free.get()
        chain = begun[0]
        try:
            while True:
                start = time.perf_counter()
                with turn:
                    if not chain and waiting:
                        begun.append(waiting.popleft())
                        chain = begun[-1]
                    chain = chain or max(begun, key=len)
                    if stop.is_set() or not chain:
                        return
                    experiment = chain.popleft()
                    process = _start(experiment, cores, targets.get(experiment.name, TARGETS))
                    running.add(process)
                    started(experiment)
                code = process.wait()
                with turn:
                    running.discard(process)
                    if not stop.is_set():
                        error = None if code == 0 else _reason(_log(experiment))
                        finished(Outcome(experiment, time.perf_counter() - start, error))
        finally:
            free.put(cores)

    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(follow) for _ in range(jobs)}
        try:
            while futures:
                # Not for ever: a signal that another thread receives does not wake one that waits on a lock.
                ended, futures = wait(futures, timeout=POLL, return_when=FIRST_EXCEPTION)
                for future in ended:
                    future.result()
        except BaseException:
            stop.set()
            with ExitStack() as held:
                try:
                    held.enter_context(quiet())  # or the tree would stay as an experiment's, and ours in git's stash
                finally:
                    with turn:
                        for process in running:
                            with suppress(ProcessLookupError):  # it has ended, its thread waits for its turn to say so
                                os.killpg(process.pid, signal.SIGTERM)
            raise


def shares(jobs: int) -> list[set[int]]:
    """This process's cores dealt out to so many jobs; empty sets, for all of them, where there are fewer than jobs.

    Two jobs of two threads each on two cores wait for each other at every barrier; each on its own core they take 0.8
    times as long (AMD EPYC Zen 5). No bytes: the number of threads is fixed.
    """
    if not hasattr(os, "sched_setaffinity"):  # not Linux
        return [set() for _ in range(jobs)]
    cores = sorted(os.sched_getaffinity(0))
    return [set(cores[job::jobs]) if len(cores) >= jobs > 1 else set() for job in range(jobs)]


@contextmanager
def quiet(root: Path = Path(".")) -> Iterator[None]:
    """Hold DVC's lock: `dvc exp run` puts the work tree aside for a moment, and what is written then would be lost."""
    from dvc.repo import Repo

    with Repo(str(root), _wait_for_lock=True) as repo, repo.lock:
        yield


def _log(experiment: Experiment) -> Path:
    return LOGS / f"{experiment.name}.log"


def _start(experiment: Experiment, cores: set[int], targets: Sequence[str]) -> subprocess.Popen[bytes]:
    """`dvc exp run --temp`, its output kept in a log, with all it starts in a session that can be ended as one.

    cores: that it may use; none for any.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    command, environment = exp_run(experiment, experiment.name, targets)
    forget(experiment.name)
    with open(_log(experiment), "w") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, start_new_session=True
        )
    with suppress(ProcessLookupError):  # it has ended already, and its code says how
        if cores:
            os.sched_setaffinity(process.pid, cores)
    return process


def exp_run(experiment: Experiment, name: str, targets: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The command line of `dvc exp run --temp` under this name, and the environment to run it in."""
    values = [override(key, value) for key, value in overrides(experiment).items()]
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "exp", "run", "--temp", "--name", name]
    command += [part for value in values for part in ("--set-param", value)] + [*targets]
    # DVC runs `python` and itself by name: those of this environment, whether it is activated or not.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return command, {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def forget(name: str) -> None:
    """Remove an experiment of that name, of other code: `--force` would too, but would also run every stage again."""
    for _, ref in kept_experiments(Path(".")).get(name, []):
        git(Path("."), "update-ref", "-d", ref)


def _reason(log: Path) -> str:
    """Our own sentence if a stage ended with one, else DVC's, else where to look."""
    lines = log.read_text(errors="replace").splitlines()
    for start in ("error: ", "ERROR: "):
        if sentences := [line for line in lines if line.startswith(start)]:
            return sentences[0].removeprefix(start)
    return f"see {log}"
