"""Ways to spoil a generator, and what loading it says then."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from src.runtime.errors import InputError
from tests.generators.miniatures import Preset, load

INDEX = "model_index.json"
ADAPTER, TOWER = "sdxl_models/ip-adapter_sdxl.safetensors", "sdxl_models/image_encoder"


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file or a safetensors file in place."""
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
    else:
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, metadata={"format": "pt"})


def lose(file: str, name: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder / file, lambda content: content.pop(name))


def rename(kind: object) -> Callable[[Path], None]:
    return lambda folder: edit(folder / INDEX, lambda index: index.update(_class_name=kind))


def sentence(preset: Preset) -> str:
    """What loading the preset ends with: an InputError of one line."""
    with pytest.raises(InputError) as raised:
        load(preset, torch.device("cpu"))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def private(preset: Preset, tmp_path: Path) -> tuple[Preset, Path, Path | None]:
    """A copy of the miniature to spoil: its preset, its folder and its adapter's."""
    copy, adapter = shutil.copytree(preset["path"], tmp_path / "generator"), None
    preset = {**preset, "path": str(copy)}
    if "adapter" in preset:
        adapter = shutil.copytree(preset["adapter"]["path"], tmp_path / "adapter")
        preset["adapter"] = {**preset["adapter"], "path": str(adapter)}
    return preset, copy, adapter
