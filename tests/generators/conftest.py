"""Generators with random weights, small enough to sample from in a blink, written once and loaded once."""

from pathlib import Path

import pytest
import torch

from src.generators.diffusion_model import DiffusionModel
from src.generators.loading import quiet
from tests.generators.miniatures import MINIATURES, Preset, load
from tests.generators.scene import Scene, make_scene


@pytest.fixture(scope="session")
def presets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Preset]:
    """Presets of all miniatures; copy a folder before changing it."""
    root = tmp_path_factory.mktemp("generators")
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(0)
        return {name: write(root / name) for name, write in MINIATURES.items()}


@pytest.fixture(scope="session")
def generators(presets: dict[str, Preset]) -> dict[str, DiffusionModel]:
    """All miniatures, loaded."""
    return {name: load(preset, torch.device("cpu")) for name, preset in presets.items()}


@pytest.fixture(scope="session")
def miniature_folder(presets: dict[str, Preset]) -> Path:
    """The Stable unCLIP on disk; copy it before changing it."""
    return Path(presets["unclip"]["path"])


@pytest.fixture(scope="session")
def miniature(generators: dict[str, DiffusionModel]) -> DiffusionModel:
    """The Stable unCLIP, loaded."""
    return generators["unclip"]


@pytest.fixture(scope="session")
def scene(miniature: DiffusionModel, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A plan to synthesise with the Stable unCLIP."""
    return make_scene(miniature, tmp_path_factory.mktemp("prompts"))
