"""A work folder that survives interruption, keyed by everything its contents depend on.

DVC deletes a stage's outputs before it runs, so unfinished work lives under `.dvc/tmp/scratch` of the main
repository (`DVC_ROOT` also in queued experiments) and moves to the output when it is complete.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save

from src.errors import InputError
from src.files import atomic_write


class Scratch:
    """The folder of one stage under one key: the same key finds the same work again, another finds none."""

    def __init__(self, stage: str, key: Mapping[str, Any]) -> None:
        """key: all that the result depends on (parameters, input hashes), JSON-able; kept as `key.json`."""
        text = json.dumps(key, sort_keys=True, allow_nan=False)
        root = Path(os.environ.get("DVC_ROOT") or Path.cwd())
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.path = root / ".dvc" / "tmp" / "scratch" / f"{stage}-{digest}"
        self.path.mkdir(parents=True, exist_ok=True)
        atomic_write(self.path / "key.json", text.encode())

    def publish(self, source: str | Iterable[str], out: Path | str) -> None:
        """Replace the folder `out` by a finished one, then remove the scratch folder.

        source: the name of a finished folder in the scratch folder, or names of files and folders that become
        `out`'s contents. `out` appears in one rename, and the scratch folder stays whole until then, so that
        an interrupted publish can be repeated. Raises InputError if something named is not there.
        """
        out = Path(out)
        names = [source] if isinstance(source, str) else list(source)
        if missing := [name for name in names if not (self.path / name).exists()]:
            raise InputError(f"{self.path} lacks {', '.join(missing)}; delete that folder and run the stage again")
        complete = out.with_name(f".{out.name}.{os.getpid()}.tmp")
        remove(complete)
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            if isinstance(source, str):
                _copy(self.path / source, complete)
            else:
                complete.mkdir()
                for name in names:
                    _copy(self.path / name, complete / name)
            remove(out)
            os.replace(complete, out)
        except BaseException:
            remove(complete)
            raise
        shutil.rmtree(self.path, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link)
    else:
        _link(source, target)


def _link(source: str | Path, target: str | Path) -> None:
    # A hard link costs nothing; it is impossible across file systems and on some network ones.
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


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
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["state"])
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError):
        return None
