"""What tests.long.chaos and tests.long.slurm share: copies of this repository, how to kill in them, what they hold."""

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.micro import FROZEN, RESULTS, SETTINGS, copy_repository, dvc, environment, set_parameters

# The models in git stay the shipped ones.
SMALL = {name: value for name, value in SETTINGS.items() if not name.startswith("tiny")}
TIMES = ("cost", "sampling")  # folders of metrics that differ between any two runs
WHOM = ("stage", "dvc", "both")
POLL = 0.01  # seconds
SYNTHESIS = ("synth_guided", "synth_synaug")
say = partial(print, flush=True)


def fresh_copy(target: Path, changes: dict[str, Any]) -> Path:
    """This repository as it lies here, with these parameters and without results; the models of frozen stages stay."""
    repository = copy_repository(target, without=("dvc.lock", "metrics"))
    set_parameters(repository, changes)
    dvc(repository, "commit", "--force", *FROZEN)
    return repository


def repro(repository: Path, threads: int) -> "subprocess.Popen[bytes]":
    """Start `dvc repro` in a session of its own; what it says goes into a file beside the repository."""
    with open(repository.parent / "log", "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro"], cwd=repository, start_new_session=True,
            env={**environment(repository), "OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip


def kill(process: "subprocess.Popen[bytes]", whom: str) -> str | None:
    """SIGKILL to the stage, to DVC or to both, and wait for DVC's end; the stage that ran, or None if all was over.

    process: `dvc repro` in a session of its own. Between two stages the answer is `dvc`; where the stage is to be
    killed, the next one is waited for.
    """
    while process.poll() is None:
        running = workers(session=process.pid)
        if whom == "stage" and not running:
            time.sleep(POLL)
            continue
        if whom == "stage":
            running[0][0].kill()
        elif whom == "dvc":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return running[0][1] if running else "dvc"
    return None


def workers(repository: Path | None = None, session: int | None = None) -> list[tuple[psutil.Process, str]]:
    """Processes that run a stage, in that repository or session if one is given, each with the stage's name and arm."""
    running = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            name = next((word for word in command if word.startswith("stages.")), None)
            mine = name and (session is None or os.getsid(process.pid) == session)
            if mine and (repository is None or process.cwd() == str(repository.resolve())):
                running.append((process, "@".join([name.removeprefix("stages."), *command[command.index(name) + 1 :]])))
        except (psutil.Error, OSError):  # it ended while it was looked at
            continue
    return running


def finished_shards(repository: Path, stages: Iterable[str] = SYNTHESIS) -> dict[str, int]:
    """When each finished shard of these was written; publishing and the cache link the file and keep the time."""
    stamps = {}
    for stage in stages:
        arm = stage.removeprefix("synth_")
        for folder in (f".dvc/tmp/scratch/{stage}-*/shards", f"data/synth/{arm}"):
            for path in repository.glob(f"{folder}/shard-*.tar"):
                with contextlib.suppress(FileNotFoundError):  # published meanwhile
                    stamps[f"{arm}/{path.name}"] = path.stat().st_mtime_ns
    return stamps


def published(repository: Path, stage: str) -> bool:
    """Whether the images of that stage were in their place already, and only DVC did not know yet."""
    return stage in SYNTHESIS and (repository / "data/synth" / stage.removeprefix("synth_")).exists()


def in_hand(repository: Path) -> int:
    """How many shards were claimed, but not finished."""
    scratch = repository / ".dvc/tmp/scratch"
    claimed = [path for stage in SYNTHESIS for path in scratch.glob(f"{stage}-*/claims/shard-*.tar")]
    return sum(not (path.parent.with_name("shards") / path.name).exists() for path in claimed)


def outputs(repository: Path) -> dict[str, str]:
    """The hash of every output in dvc.lock and of every file of metrics but times."""
    lock = repository / "dvc.lock"
    stages = yaml.safe_load(lock.read_text())["stages"] if lock.exists() else {}
    hashes = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ())}
    for path in (repository / "metrics").rglob("*"):
        if path.is_file() and path.parent.name not in TIMES:
            hashes[f"{path.relative_to(repository)} itself"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [path for path in sorted({*before, *after}) if before.get(path) != after.get(path)]


def left_behind(repository: Path) -> list[str]:
    """Unfinished work and temporary files, which a run that ended has none of."""
    scratch = repository / ".dvc/tmp/scratch"
    folders = [scratch, *(repository / name for name in RESULTS)]
    temporary = [path for folder in folders for path in folder.rglob(".*.tmp")]
    unfinished = [path for path in scratch.glob("*") if re.search(r"-[0-9a-f]{16}$", path.name)]
    return sorted(str(path.relative_to(repository)) for path in {*temporary, *unfinished})


def log_of(repository: Path) -> str:
    """What the last `dvc repro` wrote."""
    return (repository.parent / "log").read_text()


def problems(trial: dict[str, Any]) -> list[str]:
    """What must not be: other bytes, images made twice, files left behind, a rerun that failed for no stale lock."""
    failed = trial["failures"][trial["locks_removed"] :]
    return [*trial["different"], *trial["remade"], *trial["left_behind"], *failed]
