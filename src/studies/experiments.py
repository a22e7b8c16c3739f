"""Experiments of a study: named by what they are, and told apart by all that changes their results.

An experiment is a set of parameters and a seed, whichever study asks for it, so that studies share it.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from src.runtime.errors import InputError
from src.runtime.files import hash_tree, read_yaml
from src.settings.params import resolve
from src.versions.git import file_at, git


@dataclass(frozen=True)
class Experiment:
    """settings: what differs from params.yaml, dotted names. seed: of everything random."""

    settings: Mapping[str, Any]
    seed: int

    @property
    def name(self) -> str:
        """The experiment's name for DVC, the same for the same settings."""
        text = json.dumps(dict(self.settings), sort_keys=True)
        return f"s{self.seed}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def experiment(settings: Mapping[str, Any], seed: int, root: Path = Path(".")) -> Experiment:
    """The experiment of these settings, without those that params.yaml has anyway. InputError for an unknown one."""
    defaults = _yaml(root / "params.yaml")
    differing = {name: value for name, value in settings.items() if _lookup(defaults, name) != value}
    return Experiment(dict(sorted(differing.items())), seed)


def fingerprint(one: Experiment, root: Path = Path(".")) -> str:
    """Names what the experiment's results depend on: code, resolved parameters, prompts and generator; not raw data."""
    pipeline, params = _yaml(root / "dvc.yaml"), _parameters(one, root)
    parts: list[Any] = []
    for name, stage in sorted(pipeline["stages"].items()):
        if not stage.get("frozen"):
            sources = [path for path in _sources(stage, params["dataset"]) if (root / path).exists()]
            declared = resolve(name, pipeline, params).as_dict()
            parts.append([name, declared, {path: _hash(root / path) for path in sources}])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def made_here(one: Experiment, commit: str, start: str = "HEAD", root: Path = Path(".")) -> bool:
    """Whether an experiment's commit has the code of the commit `start`, and the parameters that were asked for."""
    params = _parameters(one, root)
    stages = [stage for stage in _yaml(root / "dvc.yaml")["stages"].values() if not stage.get("frozen")]
    sources = sorted({path for stage in stages for path in _sources(stage, params["dataset"])})
    if git(root, "diff", "--quiet", start, commit, "--", "dvc.yaml", *sources) is None:
        return False
    with TemporaryDirectory() as folder:
        kept = Path(folder) / "params.yaml"
        kept.write_bytes(file_at(root, commit, kept.name) or b"")
        return read_yaml(kept) == params


def _parameters(one: Experiment, root: Path) -> Any:
    """params.yaml with the experiment's settings and seed."""
    params = copy.deepcopy(_yaml(root / "params.yaml"))
    for name, value in {**one.settings, "seed": one.seed}.items():
        *parents, last = name.split(".")
        node = params
        for parent in parents:
            node = node[parent]
        node[last] = value
    return params


def _sources(stage: Mapping[str, Any], dataset: str) -> list[str]:
    """A stage's dependencies that git keeps: code, prompts, the generator."""
    named = [path.replace("${dataset}", dataset) for path in stage["deps"] if "${item" not in path]
    return [path for path in named if not path.startswith("data/")]


# Every experiment asks for the same files, which are read again only when they have changed.


def _yaml(path: Path) -> Any:
    return _yaml_at(path, path.stat().st_mtime_ns)


@cache
def _yaml_at(path: Path, written: int) -> Any:
    return read_yaml(path)


def _hash(path: Path) -> str:
    files = path.rglob("*") if path.is_dir() else [path]
    return _hash_at(path, max(file.stat().st_mtime_ns for file in files))


@cache
def _hash_at(path: Path, newest: int) -> str:
    return hash_tree(path)


def _lookup(params: Any, name: str) -> Any:
    node = params
    for part in name.split("."):
        if not isinstance(node, dict) or part not in node:
            raise InputError(f"params.yaml has no parameter '{name}' that a study sets; correct the study")
        node = node[part]
    return node


def override(name: str, value: Any) -> str:
    """The text that `dvc exp run -S` reads as this value."""
    if isinstance(value, float):  # YAML takes 1e-09 for text
        return f"{name}={np.format_float_positional(value, trim='0')}"
    return f"{name}={'null' if value is None else json.dumps(value)}"
