"""What the pipeline's tests share: one micro run of all stages."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from tests.micro import GENERATOR, SETTINGS, copy_repository, dvc, run, set_parameters

# A loaded machine takes longer than the 200 ms that Hypothesis allows an example; the rest stays as it is, CI's too.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@dataclass(frozen=True)
class MicroRun:
    """A finished repository with tiny parameters, and per stage the parameters that it read."""

    root: Path
    reads: dict[str, list[str]]


@pytest.fixture(scope="session")
def micro(tmp_path_factory) -> MicroRun:
    """All stages, train_generator included, run in one process; then DVC records what they wrote."""
    root = copy_repository(tmp_path_factory.mktemp("micro") / "repository", without=("dvc.lock", "metrics", GENERATOR))
    set_parameters(root, SETTINGS)
    reads = root.parent / "reads.json"
    run(root, sys.executable, "-m", "tests.recording", str(reads))
    dvc(root, "commit", "--force")
    return MicroRun(root, json.loads(reads.read_text()))


@pytest.fixture
def workspace(micro, tmp_path, monkeypatch) -> Path:
    """A private copy of the micro run without its history, as the working directory."""
    root = tmp_path / "workspace"
    shutil.copytree(micro.root, root, ignore=shutil.ignore_patterns(".git", "cache", "tmp", "tests"))
    monkeypatch.chdir(root)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return root
