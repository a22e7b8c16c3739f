"""Signals to the worker, to DVC and to everything during `dvc repro`, which is then run again to its end.

FAULTS=all sends every signal to every one of them; else one of each.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.micro import dvc, environment, results, set_parameters

pytestmark = pytest.mark.slow

MERGE, SYNTH = "merge_balance@guided", "synth_synaug"
POINTS = {MERGE: r"replace data/merged/", SYNTH: r"(replace|rename) .*/shards/shard-00002\.tar"}
ALL = [
    (number, whom) for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT) for whom in ("worker", "dvc", "all")
]
FEW = [(signal.SIGINT, "all"), (signal.SIGTERM, "worker"), (signal.SIGKILL, "dvc"), (signal.SIGKILL, "all")]

SOON = 5.0  # seconds; by then the next run has begun, or it begins on what the first has finished
EVERY = os.environ.get("FAULTS") == "all"


class Repro:
    """`dvc repro` of one stage, whose worker waits at a point of its work until it is released."""

    def __init__(self, root: Path, stage: str) -> None:
        self.flag = root.parent / "held"
        fault = {"kind": "hold", "pattern": POINTS[stage], "to": str(self.flag)}
        launch = f"{sys.executable} {root / 'tests/faults/inject.py'}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro", "--single-item", "--force", stage], cwd=root, text=True,
            env={**environment(root), "LAUNCH": launch, "FAULT": json.dumps(fault)}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        while not self.flag.exists():
            assert self.process.poll() is None, self.process.communicate()[0]
            time.sleep(0.02)
        self.worker = psutil.Process(int(self.flag.read_text()))

    def send(self, number: int, whom: str) -> None:
        if whom == "all":
            os.killpg(self.process.pid, number)
        else:
            os.kill(self.worker.pid if whom == "worker" else self.process.pid, number)
            if whom == "dvc" and number != signal.SIGINT:  # which DVC leaves to the worker
                self.process.wait()

    def release(self) -> str:
        """Let the worker go on, if it lives, and wait for the end of all; return what they said."""
        self.flag.unlink()
        output = self.process.communicate()[0]  # the end of a worker without DVC, too: it has the same pipe
        psutil.wait_procs([self.worker])
        return output


@pytest.fixture
def repository(micro, tmp_path) -> Iterator[Path]:
    yield Path(shutil.copytree(micro.root, tmp_path / "repository", symlinks=True))
    (tmp_path / "held").unlink(missing_ok=True)  # nobody waits for the end of a test that failed


def again(repository: Path, stage: str) -> None:
    """What the README tells users to do."""
    done = dvc(repository, "repro", "--single-item", "--force", stage)
    assert "Updating lock file" in done or "Use `dvc push`" in done, done


@pytest.mark.parametrize("stage", [MERGE, SYNTH] if EVERY else [MERGE])
@pytest.mark.parametrize(("number", "whom"), ALL if EVERY else FEW)
def test_after_a_signal_the_same_command_ends_with_the_same_bytes(number, whom, stage, repository):
    before, lock = results(repository), (repository / "dvc.lock").read_text()
    first = Repro(repository, stage)
    first.send(number, whom)
    output = first.release()
    assert "Traceback" not in output, output
    if (number, whom) != (signal.SIGINT, "dvc"):
        assert first.process.returncode != 0
    again(repository, stage)
    assert (results(repository), (repository / "dvc.lock").read_text()) == (before, lock)
    assert not [path for path in (repository / ".dvc/tmp/scratch").glob("*-*") if path.suffix != ".done"]


def test_a_worker_that_outlives_its_dvc_does_no_harm_to_the_next_run(repository):
    """It goes on while the next run does the same work, which may wait for it but must not need it."""
    before, lock = results(repository), (repository / "dvc.lock").read_text()
    first = Repro(repository, SYNTH)
    first.send(signal.SIGKILL, "dvc")
    later = threading.Timer(SOON, first.flag.unlink)
    later.start()
    again(repository, SYNTH)
    later.join()
    first.process.communicate()
    psutil.wait_procs([first.worker])
    assert (results(repository), (repository / "dvc.lock").read_text()) == (before, lock)
    assert "Data and pipelines are up to date" in dvc(repository, "status", SYNTH)


def test_images_that_are_published_but_not_yet_known_to_dvc_are_not_made_again(repository, warm, known):
    """After the stage DVC hashes the outputs. Killed then, it deletes them the next time and runs the stage again."""
    shards = repository / "data/synth/synaug"
    for path in (repository / "dvc.lock", *shards.iterdir()):
        path.unlink()
    shutil.rmtree(repository / ".dvc/cache")  # where equal images lie, of which DVC would take those
    assert warm.run(known[SYNTH], repository).status == 0  # and here DVC is killed
    written = {path.stat().st_mtime_ns for path in shards.glob("*.tar")}
    dvc(repository, "repro", "--single-item", SYNTH)
    assert {path.stat().st_mtime_ns for path in shards.glob("*.tar")} == written


def test_a_lock_that_names_a_living_process_is_told_by_dvc_and_removed_as_the_readme_says(repository):
    """A killed DVC's number may be another process's by now; DVC drops by itself what names a dead one."""
    owner = {"pid": os.getpid(), "cmd": "dvc repro"}
    lock = repository / ".dvc/tmp/rwlock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text(json.dumps({"write": {str(repository / "data/merged/guided.csv"): owner}, "read": {}}))
    output = dvc(repository, "repro", "--single-item", "--force", MERGE, fails=True)
    assert f"(PID {os.getpid()}): dvc repro" in output and ".dvc/tmp/rwlock' and try again" in output
    lock.unlink()
    again(repository, MERGE)


def test_a_parameter_edited_while_its_stage_runs_is_recorded_for_no_result(repository):
    """DVC hashes after the command: it would give the edited value to what the old one made, and keep it for later."""
    lock, merged = repository / "dvc.lock", repository / "data/merged/guided.csv"
    before, whole = lock.read_text(), len(merged.read_text().splitlines())
    first = Repro(repository, MERGE)
    set_parameters(repository, {"merge.per_class": 1})
    output = first.release()
    assert first.process.returncode != 0
    assert (
        "error: merge.per_class changed while merge_balance ran, so that its results belong to neither state" in output
    )
    assert lock.read_text() == before
    again(repository, MERGE)
    assert "per_class: 1" in lock.read_text() and len(merged.read_text().splitlines()) < whole
