"""Experiments of a study through DVC's own `dvc exp run`: named by what they are, run once, never twice.

An experiment is a set of parameters and a seed, whichever study asks for it, so that studies share it. Experiments of
one seed follow each other, since later ones find the earlier ones' stages in the run-cache; seeds run side by side.
"""

import copy
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Lock
from typing import Any

import numpy as np

from src.errors import InputError
from src.files import hash_tree, read_yaml
from src.params import resolve
from src.repository import experiments, file_at, git

LOGS = Path(".dvc/tmp/studies")
POLL = 1.0  # seconds within which an interruption is heard


@dataclass(frozen=True)
class Experiment:
    """settings: what differs from params.yaml, dotted names. seed: of everything random."""

    settings: Mapping[str, Any]
    seed: int

    @property
    def name(self) -> str:
        """The experiment's name for DVC, the same for the same settings."""
        text = json.dumps(dict(self.settings), sort_keys=True)
        return f"s{self.seed}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def experiment(settings: Mapping[str, Any], seed: int, root: Path = Path(".")) -> Experiment:
    """The experiment of these settings, without those that params.yaml has anyway. InputError for an unknown one."""
    defaults = _yaml(root / "params.yaml")
    differing = {name: value for name, value in settings.items() if _lookup(defaults, name) != value}
    return Experiment(dict(sorted(differing.items())), seed)


def fingerprint(one: Experiment, root: Path = Path(".")) -> str:
    """Names what the experiment's results depend on: code, resolved parameters, prompts and generator; not raw data."""
    pipeline, params = _yaml(root / "dvc.yaml"), _parameters(one, root)
    parts: list[Any] = []
    for name, stage in sorted(pipeline["stages"].items()):
        if not stage.get("frozen"):
            sources = [path for path in _sources(stage, params["dataset"]) if (root / path).exists()]
            declared = resolve(name, pipeline, params).as_dict()
            parts.append([name, declared, {path: _hash(root / path) for path in sources}])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def made_here(one: Experiment, commit: str, start: str = "HEAD", root: Path = Path(".")) -> bool:
    """Whether an experiment's commit has the code of the commit `start`, and the parameters that were asked for."""
    params = _parameters(one, root)
    stages = [stage for stage in _yaml(root / "dvc.yaml")["stages"].values() if not stage.get("frozen")]
    sources = sorted({path for stage in stages for path in _sources(stage, params["dataset"])})
    if git(root, "diff", "--quiet", start, commit, "--", "dvc.yaml", *sources) is None:
        return False
    with TemporaryDirectory() as folder:
        kept = Path(folder) / "params.yaml"
        kept.write_bytes(file_at(root, commit, kept.name) or b"")
        return read_yaml(kept) == params


def _parameters(one: Experiment, root: Path) -> Any:
    """params.yaml with the experiment's settings and seed."""
    params = copy.deepcopy(_yaml(root / "params.yaml"))
    for name, value in {**one.settings, "seed": one.seed}.items():
        *parents, last = name.split(".")
        node = params
        for parent in parents:
            node = node[parent]
        node[last] = value
    return params


def _sources(stage: Mapping[str, Any], dataset: str) -> list[str]:
    """A stage's dependencies that git keeps: code, prompts, the generator."""
    named = [path.replace("${dataset}", dataset) for path in stage["deps"] if "${item" not in path]
    return [path for path in named if not path.startswith("data/")]


# Every experiment asks for the same files, which are read again only when they have changed.


def _yaml(path: Path) -> Any:
    return _yaml_at(path, path.stat().st_mtime_ns)


@lru_cache
def _yaml_at(path: Path, written: int) -> Any:
    return read_yaml(path)


def _hash(path: Path) -> str:
    files = path.rglob("*") if path.is_dir() else [path]
    return _hash_at(path, max(file.stat().st_mtime_ns for file in files))


@lru_cache
def _hash_at(path: Path, newest: int) -> str:
    return hash_tree(path)


def _lookup(params: Any, name: str) -> Any:
    node = params
    for part in name.split("."):
        if not isinstance(node, dict) or part not in node:
            raise InputError(f"params.yaml has no parameter '{name}' that a study sets; correct the study")
        node = node[part]
    return node


def override(name: str, value: Any) -> str:
    """The text that `dvc exp run -S` reads as this value."""
    if isinstance(value, float):  # YAML takes 1e-09 for text
        return f"{name}={np.format_float_positional(value, trim='0')}"
    return f"{name}={'null' if value is None else json.dumps(value)}"


@dataclass(frozen=True)
class Outcome:
    """How one experiment ended: seconds and threads, None if it was made elsewhere, and what it said if it failed."""

    experiment: Experiment
    seconds: float | None
    threads: int | None
    error: str | None


def run_all(
    experiments: Iterable[Experiment],
    jobs: int,
    finished: Callable[[Outcome], None],
    started: Callable[[Experiment], None] = lambda one: None,
) -> None:
    """Run experiments, `jobs` seeds side by side, each on its share of the cores; a failed one does not stop others.

    started, finished: are told of every experiment and its outcome, of one at a time. Ctrl-C and SIGTERM end the
    running ones.
    """
    running: set[subprocess.Popen[bytes]] = set()
    chains: dict[int, list[Experiment]] = {}
    for one in experiments:
        chains.setdefault(one.seed, []).append(one)
    jobs = max(1, min(jobs, len(chains)))
    threads, stop, turn = max(1, (os.cpu_count() or 1) // jobs), Event(), Lock()

    def follow(chain: Sequence[Experiment]) -> None:
        for one in chain:
            start = time.perf_counter()
            with turn:
                if stop.is_set():
                    return
                process = _start(one, threads)
                running.add(process)
                started(one)
            code = process.wait()
            with turn:
                running.discard(process)
                if not stop.is_set():
                    error = None if code == 0 else _said(_log(one))
                    finished(Outcome(one, time.perf_counter() - start, threads, error))

    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(follow, chain) for chain in chains.values()}
        try:
            while futures:
                # Not for ever: a signal that another thread receives does not wake one that waits on a lock.
                ended, futures = wait(futures, timeout=POLL, return_when=FIRST_EXCEPTION)
                for future in ended:
                    future.result()
        except BaseException:
            stop.set()
            with turn:
                for process in running:
                    with suppress(ProcessLookupError):  # it has ended, and its thread waits for its turn to say so
                        os.killpg(process.pid, signal.SIGTERM)
            raise


@contextmanager
def quiet(root: Path = Path(".")) -> Iterator[None]:
    """Hold DVC's lock: `dvc exp run` puts the work tree aside for a moment, and what is written then would be lost."""
    from dvc.repo import Repo

    with Repo(str(root), _wait_for_lock=True) as repo, repo.lock:
        yield


def _log(one: Experiment) -> Path:
    return LOGS / f"{one.name}.log"


def _start(one: Experiment, threads: int) -> subprocess.Popen[bytes]:
    """`dvc exp run --temp`, its output kept in a log, with all it starts in a session that can be ended as one."""
    LOGS.mkdir(parents=True, exist_ok=True)
    values = [override(name, value) for name, value in {**one.settings, "seed": one.seed}.items()]
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "exp", "run", "--temp", "--name", one.name]
    command += [part for value in values for part in ("--set-param", value)]
    # DVC runs `python` and itself by name: those of this environment, whether it is activated or not.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": str(threads), "PYTHONDONTWRITEBYTECODE": "1"}
    _forget(one.name)
    with open(_log(one), "w") as file:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, start_new_session=True
        )


def _forget(name: str) -> None:
    """Remove an experiment of that name, of other code: `--force` would too, but would also run every stage again."""
    for _, ref in experiments(Path(".")).get(name, []):
        git(Path("."), "update-ref", "-d", ref)


def _said(log: Path) -> str:
    """Our own sentence if a stage ended with one, else DVC's, else where to look."""
    lines = log.read_text(errors="replace").splitlines()
    for start in ("error: ", "ERROR: "):
        if said := [line for line in lines if line.startswith(start)]:
            return said[0].removeprefix(start)
    return f"see {log}"
