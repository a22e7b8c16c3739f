"""Unfinished training in one safetensors file: tensors and a JSON-able state, complete or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save

from src.runtime.files import atomic_write


def save_checkpoint(path: Path | str, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-able state into one safetensors file, complete or not at all."""
    # Cloned, because safetensors refuses tensors that share memory.
    copies = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()
    }
    atomic_write(path, save(copies, metadata={"state": json.dumps(state)}))


def load_checkpoint(path: Path | str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Return (tensors, state), or None if the file is absent or damaged: the work then starts over."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            names, state = file.keys(), json.loads(file.metadata()["state"])
            return ({name: file.get_tensor(name) for name in names}, state) if isinstance(state, dict) else None
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError, RecursionError):
        return None
