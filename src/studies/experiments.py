"""Experiments of a study: a set of parameters and a seed, whichever study asks for it, so that studies share it."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from src.runtime.errors import InputError
from src.runtime.files import read_yaml

# What an experiment is about unless it says otherwise, whatever the defaults of params.yaml become.
BENCHMARK = {"dataset": "digits", "generator": "tiny_unclip", "feedback": "entropy"}
OF_MATCHED = {"feedbacks.matched.criterion": "entropy"}  # likewise, of one with matched feedback
ABSENT = object()  # what stands under a name that nothing has


@dataclass(frozen=True)
class Experiment:
    """settings: what differs from params.yaml and BENCHMARK, dotted names. seed: of everything random."""

    settings: Mapping[str, Any]
    seed: int

    @property
    def name(self) -> str:
        """The experiment's name for DVC, the same for the same settings, also under other defaults of BENCHMARK's."""
        text = json.dumps(dict(self.settings), sort_keys=True)
        return f"s{self.seed}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    @property
    def chosen(self) -> dict[str, Any]:
        """All that it chooses, whether params.yaml has it anyway or not."""
        own = OF_MATCHED if self.settings.get("feedback") == "matched" else {}
        return {**BENCHMARK, **own, **self.settings, "seed": self.seed}


def experiment_of(settings: Mapping[str, Any], seed: int, root: Path = Path(".")) -> Experiment:
    """The experiment of these settings, without those that it has anyway. InputError for an unknown one."""
    defaults = yaml_of(root / "params.yaml")
    anyway = {name: (BENCHMARK | OF_MATCHED).get(name, value_of(defaults, name)) for name in settings}
    return Experiment({name: settings[name] for name in sorted(settings) if anyway[name] != settings[name]}, seed)


def parameters_of(experiment: Experiment, root: Path = Path(".")) -> dict[str, Any]:
    """params.yaml with what the experiment chooses."""
    params = copy.deepcopy(yaml_of(root / "params.yaml"))
    for name, value in experiment.chosen.items():
        *parents, last = name.split(".")
        node = params
        for parent in parents:
            node = node[parent]
        node[last] = value
    return params


def overrides(experiment: Experiment, root: Path = Path(".")) -> dict[str, Any]:
    """Its seed, and what it chooses that params.yaml has otherwise."""
    defaults = yaml_of(root / "params.yaml")
    return {
        name: value for name, value in experiment.chosen.items() if name == "seed" or value_of(defaults, name) != value
    }


def yaml_of(path: Path) -> Any:
    """A YAML file that every experiment asks for, read again only when it has changed; not to be altered."""
    return _yaml_at(path, path.stat().st_mtime_ns)


@cache
def _yaml_at(path: Path, written: int) -> Any:
    return read_yaml(path)


def value_of(params: Mapping[str, Any], name: str) -> Any:
    """The parameter or the parameters under a dotted name. InputError if there is none."""
    if (value := at(params, name)) is ABSENT:
        raise InputError(f"params.yaml has no parameter '{name}'; correct what asks for it, a study or dvc.yaml")
    return value


def at(node: Any, name: str) -> Any:
    """What stands under a dotted name; ABSENT if nothing does."""
    for part in name.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return ABSENT
        node = node[part]
    return node


def override(name: str, value: Any) -> str:
    """The text that `dvc exp run -S` reads as this value."""
    if isinstance(value, float):  # YAML takes 1e-09 for text
        return f"{name}={np.format_float_positional(value, trim='0')}"
    return f"{name}={'null' if value is None else json.dumps(value, ensure_ascii=False)}"
