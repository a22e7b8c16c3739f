"""What stages read of the micro run, and no more: hundreds of tests copy it."""

import shutil
from pathlib import Path

import pytest

from tests.micro import RESULTS, keep_data_sets, without_code, write_yaml


@pytest.fixture(scope="session")
def settings(micro, tmp_path_factory) -> dict[str, str]:
    """params.yaml with fewer presets, and of dvc.yaml what stages read."""
    folder = tmp_path_factory.mktemp("settings")
    shutil.copy(micro.root / "params.yaml", folder)
    keep_data_sets(folder, ("digits", "folder", "csv"))
    write_yaml(folder / "dvc.yaml", without_code(micro.root))
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def workspace(micro, settings, tmp_path, monkeypatch) -> Path:
    """A private copy of what stages read and write in the micro run, as the working directory."""
    for name in (*RESULTS, "prompts"):
        shutil.copytree(micro.root / name, tmp_path / name)
    for name, text in settings.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path
