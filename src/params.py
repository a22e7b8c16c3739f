"""The parameters of a stage: exactly those that dvc.yaml declares for it, presets resolved, no other.

Reading an undeclared one would make results stale in silence: DVC would not rerun the stage when it changes.
"""

import copy
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.checks import check_declared
from src.errors import InputError
from src.files import hash_file, read_yaml

_PRESET = re.compile(r"(\w+)s\.\$\{(\w+)\}")
_TEMPLATE = re.compile(r"\$\{([\w.]+)\}")


class Params:
    """A read-only view of declared parameters: `params.train.lr` or `params["train"]["lr"]`."""

    def __init__(
        self, values: Mapping[str, Any], stage: str, presets: Mapping[str, str] | None = None, path: str = ""
    ) -> None:
        """values: nested declared parameters; presets: which preset stands under a selector, such as
        {"dataset": "datasets.digits"}; path: the dotted name of this node, empty at the top.
        """
        vars(self).update(_values=dict(values), _stage=stage, _presets=presets or {}, _path=path)

    def __getitem__(self, name: str) -> Any:
        path = f"{self._path}.{name}" if self._path else name
        if name not in self._values:
            preset = self._presets.get(self._path.partition(".")[0])
            cure = f"'{preset}' in params.yaml lacks; add it there"
            if preset is None:
                cure = "dvc.yaml does not declare for it; add it under params"
            raise InputError(f"stage '{self._stage}' reads parameter '{path}', which {cure}")
        return self._view(self._values[name], path)

    def __getattr__(self, name: str) -> Any:
        # Python itself asks for dunder names (copying, pickling) and expects this error.
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        raise TypeError(f"parameter '{name}' is read-only; change it in params.yaml")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __repr__(self) -> str:
        return f"Params({self._values})"

    def as_dict(self) -> dict[str, Any]:
        """Return a copy as plain dictionaries and lists, for hashing."""
        return copy.deepcopy(self._values)

    def _view(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return type(self)(value, self._stage, self._presets, path)
        if isinstance(value, list):
            return tuple(self._view(item, f"{path}.{number}") for number, item in enumerate(value))
        return value


def load(stage: str, root: Path = Path(".")) -> Params:
    """Return the parameters that `root`/dvc.yaml declares for the stage, with values from `root`/params.yaml.

    A declared `datasets.${dataset}` appears as `params.dataset`, its name as `params.dataset.name`, and so for every
    family of presets under a plural: `recipes.${dataset}`, chosen by the same name, as `params.recipe`. Raises
    InputError for an unknown stage, parameter or preset, for a number that is not finite, for text that was meant as a
    number, and for a value of another kind than KINDS of src.checks asks for.
    """
    return resolve(stage, _mapping(root / "dvc.yaml"), _mapping(root / "params.yaml"))


def code_of(stage: str, root: Path = Path(".")) -> dict[str, str]:
    """Return the hash of each file of code that `root`/dvc.yaml names for the stage; none where it knows no such stage.

    What a stage left unfinished belongs to the code that made it, as DVC's own record of a finished stage does.
    """
    if not (root / "dvc.yaml").exists():
        return {}
    stages = _mapping(root / "dvc.yaml").get("stages") or {}
    named = [path for path in (stages.get(stage) or {}).get("deps") or () if str(path).endswith(".py")]
    return {path: hash_file(root / path) for path in named if (root / path).exists()}


def resolve(stage: str, pipeline: Mapping[str, Any], everything: Mapping[str, Any]) -> Params:
    """`load` from the contents of dvc.yaml and params.yaml."""
    values: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    for entry in _declared(stage, pipeline):
        match = _PRESET.fullmatch(entry)
        if match:
            family, preset = match[1], _preset(everything, match[1], match[2])
            where = f"{family}s.{preset['name']}"
            check_value(preset, where)
            check_declared(f"{family}s", preset, where)
            chosen[family] = preset
            continue
        name = _TEMPLATE.sub(lambda inner: str(_lookup(everything, inner[1], stage)), entry)
        value = _lookup(everything, name, stage)
        check_value(value, name)
        check_declared(name, value)
        *parents, last = name.split(".")
        node = values
        for parent in parents:
            node = node.setdefault(parent, {})
        # Declared both whole and in part (`train` and `train.lr`): the whole contains the part.
        node[last] = {**node.get(last, {}), **value} if isinstance(value, dict) else value
    presets = {selector: f"{selector}s.{preset['name']}" for selector, preset in chosen.items()}
    return Params({**values, **chosen}, stage, presets)


def arm_of(stage: str, given: Sequence[str], root: Path = Path(".")) -> str:
    """The arm that the command line gives; InputError unless it is one that `root`/dvc.yaml runs the stage for."""
    known = _stage(stage, _mapping(root / "dvc.yaml")).get("matrix", {}).get("arm", [])
    if len(given) != 1 or given[0] not in known:
        raise InputError(
            f"stage '{stage}' works on one arm, {' or '.join(known)}, not on '{' '.join(given)}'; run "
            f"`python -m stages.{stage} {known[0]}`"
        )
    return given[0]


def _stage(stage: str, pipeline: Mapping[str, Any]) -> dict[str, Any]:
    stages = pipeline.get("stages")
    if not isinstance(stages, dict) or not isinstance(stages.get(stage), dict):
        raise InputError(f"dvc.yaml has no stage '{stage}'; it has {', '.join(map(str, stages or ())) or 'none'}")
    return stages[stage]


def _declared(stage: str, pipeline: Mapping[str, Any]) -> list[str]:
    told = _stage(stage, pipeline)
    entries = told.get("do", told).get("params") or []
    if others := [entry for entry in entries if not isinstance(entry, str)]:
        raise InputError(f"stage '{stage}' declares parameters of another file, {others[0]}; use params.yaml alone")
    return entries


def _mapping(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no `name: value` lines; restore it with git")
    return content


def _lookup(tree: Mapping[str, Any], name: str, stage: str) -> Any:
    node: Any = tree
    for part in name.split("."):
        if not isinstance(node, dict) or part not in node:
            raise InputError(f"dvc.yaml declares parameter '{name}' for stage '{stage}', but params.yaml lacks it")
        node = node[part]
    return node


def _preset(everything: Mapping[str, Any], family: str, selector: str) -> dict[str, Any]:
    name, known = everything.get(selector), everything.get(f"{family}s") or {}
    if not isinstance(known, dict):
        raise InputError(f"{family}s in params.yaml must hold presets by name, not {known!r}; restore it with git")
    if not isinstance(name, str) or name not in known:
        raise InputError(f"unknown {family} '{name}'; params.yaml knows {', '.join(map(str, known))}")
    preset = {} if known[name] is None else known[name]
    if not isinstance(preset, dict):
        raise InputError(f"{family}s.{name} must hold `name: value` lines, not {preset!r}; correct it in params.yaml")
    return {"name": name, **preset}


def check_value(value: Any, name: str) -> None:
    """InputError, naming the parameter, for a number that is not finite, for text meant as a number, for a name that
    YAML does not read as text (no, 1e3), and for what is none of number, text, true, false, list and mapping."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InputError(f"{name} has the name {key!r}, which YAML does not read as text; put it in quotes")
            check_value(item, f"{name}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            check_value(item, f"{name}.{number}")
    elif isinstance(value, str):
        _refuse_number(value, name)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"parameter '{name}' is {value}; give it a finite number")
    elif not isinstance(value, bool | int | float | None):
        raise InputError(f"parameter '{name}' is a {type(value).__name__}, not a number or text; put it in quotes")


def _refuse_number(value: str, name: str) -> None:
    try:
        number = float(value)
    except ValueError:
        return
    if not math.isfinite(number):
        raise InputError(f"parameter '{name}' is {value}; give it a finite number")
    plain = np.format_float_positional(number, trim="0")
    raise InputError(f"parameter '{name}' is the text '{value}', not a number; write {plain} in params.yaml")
