"""What stages read of the micro run, and no more: hundreds of tests copy it."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.micro import RESULTS

KEPT = {"datasets": ("digits", "folder", "csv"), "recipes": ("digits",), "budgets": ("digits",)}


@pytest.fixture(scope="session")
def settings(micro) -> dict[str, str]:
    """params.yaml with fewer presets, and of dvc.yaml what stages read: a tenth of the time."""
    everything, stages = (yaml.safe_load((micro.root / name).read_text()) for name in ("params.yaml", "dvc.yaml"))
    for family, names in KEPT.items():
        everything[family] = {name: everything[family][name] for name in names}
    told = {
        name: {key: stage[key] for key in ("matrix", "foreach", "do", "params") if key in stage}
        for name, stage in stages["stages"].items()
    }
    return {
        "params.yaml": yaml.safe_dump(everything, sort_keys=False),
        "dvc.yaml": yaml.safe_dump({"stages": told}, sort_keys=False),
    }


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
