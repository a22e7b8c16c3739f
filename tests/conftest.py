"""What all tests share: signals as a terminal gives them, an end for what hangs, and one micro run of all stages."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.micro import DATA_SETS, GENERATOR, SETTINGS, copy_repository, dvc, keep_data_sets, run, set_parameters
from tests.once import once

# A loaded machine takes longer than the 200 ms that Hypothesis allows an example; the rest stays as it is, CI's too.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# A hook of git that runs tests says by these which repository is meant, whatever folder a test's own git runs in.
for name in [name for name in os.environ if name.startswith("GIT_")]:
    del os.environ[name]

SLOW = {"micro", "presets", "place"}  # fixtures: the pipeline, networks of all sorts of generators, real processes
LIMIT, AGAIN = 300, 30  # seconds for a test and what it sets up, and until it is told again if it goes on all the same
AS_AT_A_TERMINAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL,
                    signal.SIGCHLD: signal.SIG_DFL, signal.SIGALRM: signal.SIG_DFL}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests, which those with slow fixtures are too, first, so that pytest-xdist's workers end together.

    The first builds the micro run while the others have work that does not need it.
    """

    def turn(item: pytest.Item) -> int:
        if item.path.parent.name == "faults":
            return 0
        return 1 + ("micro" in getattr(item, "fixturenames", ())) if item.get_closest_marker("slow") else 3

    for item in items:
        if not SLOW.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    items.sort(key=turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """What shares a fixture that takes long is one worker's: a file, all of the faults, one data set."""
    from xdist.scheduler import LoadScopeScheduling

    class Shared(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if file.endswith("test_every_dataset.py"):
                return nodeid
            return file.rpartition("/")[0] if "/faults/" in file else file

    return Shared(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """End a test that hangs, with a traceback that shows where."""

    def end(*_: object) -> None:
        pytest.fail(f"it took longer than {LIMIT} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, LIMIT, AGAIN)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session", autouse=True)
def signals() -> Iterator[None]:
    """SIGINT and its like do here, and in every process that a test starts, what they do at a terminal.

    A parent may ignore them (`nohup`, `&` in a script and cron do so with SIGINT) or block them. Children inherit that,
    and a stage is right to respect it.
    """
    ignored = [number for number in AS_AT_A_TERMINAL if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, AS_AT_A_TERMINAL[number])
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, AS_AT_A_TERMINAL)
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@dataclass(frozen=True)
class MicroRun:
    """A finished repository with tiny parameters, and per stage the parameters that it read. Tests leave it so."""

    root: Path
    reads: dict[str, list[str]]


@pytest.fixture(scope="session")
def micro(tmp_path_factory: pytest.TempPathFactory) -> MicroRun:
    """All stages, train_generator included, run in one process; then DVC records what they wrote."""

    def build(folder: Path) -> None:
        root = copy_repository(folder / "repository", without=("dvc.lock", "metrics", GENERATOR))
        keep_data_sets(root, DATA_SETS)
        set_parameters(root, SETTINGS)
        run(root, sys.executable, "-m", "tests.recording", str(folder / "reads.json"))
        dvc(root, "commit", "--force")

    folder = once(tmp_path_factory, "micro", build)
    return MicroRun(folder / "repository", json.loads((folder / "reads.json").read_text()))


@pytest.fixture
def workspace(micro, tmp_path, monkeypatch) -> Path:
    """A private copy of the micro run without its history, as the working directory."""
    root = tmp_path / "workspace"
    shutil.copytree(micro.root, root, ignore=shutil.ignore_patterns(".git", "cache", "tmp", "tests"))
    monkeypatch.chdir(root)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return root
