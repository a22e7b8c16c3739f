"""A stage or command on wrong input, run in this process: what it says, and that it touched nothing."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from src.runtime.entry import run_stage
from tests.micro import RESULTS, digests
from tests.small import script


def stopped(stage: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the stage, which must stop with exit code 2 and write nothing. Returns the one sentence that it says."""
    name, *arguments = stage.split()
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    main: Callable[[], None] = script(name).main
    before = digests(*map(Path, RESULTS))
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        run_stage(main)
    assert exit_.value.code == 2
    assert digests(*map(Path, RESULTS)) == before
    output = capsys.readouterr().err
    (line,) = (line for line in output.splitlines() if line.startswith("error: "))
    assert "Traceback" not in output
    return line


def edit(path: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file's bytes; it is replaced, because the copy may share them with DVC's cache."""
    data = Path(path).read_bytes()
    Path(path).unlink()
    Path(path).write_bytes(change(data))


def cut_in_half(path: Path | str) -> None:
    edit(str(path), lambda data: data[: len(data) // 2])


def replaced(old: str, new: str) -> Callable[[bytes], bytes]:
    """A change that puts `new` in place of the first `old`, which must be there."""

    def change(data: bytes) -> bytes:
        assert old.encode() in data, old
        return data.replace(old.encode(), new.encode(), 1)

    return change
