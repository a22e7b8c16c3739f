"""What the fault tests share: the warm process, the stages, and what each leaves if nothing happens to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.trial import Stage, Uninterrupted, Warm, lay_out, stages, working
from tests.micro import results


@pytest.fixture(scope="session")
def warm(micro) -> Iterator[Warm]:
    process = Warm(micro.root)
    yield process
    process.stop()


@pytest.fixture(scope="session")
def known(micro) -> dict[str, Stage]:
    return stages(micro.root)


@pytest.fixture(scope="session")
def uninterrupted(micro, warm, known, tmp_path_factory) -> Callable[[str], Uninterrupted]:
    """By a stage's name, what it leaves, and the points it passes."""
    seen: dict[str, Uninterrupted] = {}

    def get(name: str) -> Uninterrupted:
        if name not in seen:
            folder = lay_out(micro.root, tmp_path_factory.mktemp("plain") / "folder", known[name])
            ended = warm.run(known[name], folder)  # once without: it also warms the process
            assert ended.status == 0, ended.output
            plain = results(folder), working(folder)
            lay_out(micro.root, folder, known[name])
            note = folder.parent / "points.txt"
            ended = warm.run(known[name], folder, {"kind": "record", "to": str(note)})
            assert ended.status == 0 and (results(folder), working(folder)) == plain, ended.output
            seen[name] = Uninterrupted(*plain, note.read_text().splitlines())
        return seen[name]

    return get


@pytest.fixture
def trial(micro, known, tmp_path) -> Callable[[str], Path]:
    """By a stage's name, a new folder for it."""
    return lambda name: lay_out(micro.root, tmp_path / "trial", known[name])
