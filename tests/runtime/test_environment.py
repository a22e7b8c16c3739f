"""Outside its environment a command says in one sentence how to get there."""

import importlib.util
import subprocess
import sys

import pytest

from src.runtime import environment
from src.versions.import_closure import ROOT


@pytest.mark.parametrize("command", ["stages.train_base", "commands.report", "benchmarks.sampling"])
def test_without_the_packages_a_command_says_how_to_get_them(command: str) -> None:
    isolated = [sys.executable, "-S", "-m", command]  # without site-packages
    ended = subprocess.run(isolated, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1
    assert "is not installed for" in ended.stderr and "source .venv/bin/activate" in ended.stderr


def test_another_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit, match=r"this is Python 3\.9, and 3\.11 or later is needed; run `make env`"):
        environment.require_environment()


def test_within_it_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    environment.require_environment()
    whole = importlib.util.find_spec
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None if name == "torch" else whole(name))
    with pytest.raises(SystemExit, match="the package torch is not installed"):
        environment.require_environment()
