"""What stages read of the micro run, and no more: hundreds of tests copy it."""

import shutil
from pathlib import Path

import pytest

from tests.micro import RESULTS, ROOT, SETTINGS, keep_data_sets, set_parameters, without_code, write_yaml
from tests.recorded import record


@pytest.fixture(scope="session")
def settings(tmp_path_factory) -> dict[str, bytes]:
    """params.yaml of the micro run with fewer presets, and of dvc.yaml what stages read."""
    folder = tmp_path_factory.mktemp("settings")
    shutil.copy(ROOT / "params.yaml", folder)
    keep_data_sets(folder, ("digits",))
    set_parameters(folder, SETTINGS)
    write_yaml(folder / "dvc.yaml", without_code(ROOT))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def chosen(settings, tmp_path, monkeypatch) -> Path:
    """A folder with params.yaml and dvc.yaml alone, as the working directory."""
    for name, data in settings.items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


@pytest.fixture
def workspace(micro, chosen) -> Path:
    """A private copy of what stages read and write in the micro run, as the working directory."""
    for name in (*RESULTS, "prompts"):
        shutil.copytree(micro.root / name, chosen / name)
    record(chosen, "data/merged/guided.csv", "metrics/accuracy.json")
    return chosen
