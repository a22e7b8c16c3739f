"""The parameters of a stage: exactly those that dvc.yaml declares for it, presets resolved, no other.

With the contents of what the stage reads they are also what its unfinished work is known by.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from src.runtime.errors import InputError
from src.runtime.files import hash_tree
from src.runtime.pipeline import declared, read_mapping
from src.settings.schema import Section, build, plain
from src.settings.sections import PRESETS, Params, section_kind, shipped

# A family of presets and the parameter that chooses one, and which part of the preset is meant if not all of it.
_PRESET = re.compile(r"(\w+)\.\$\{(\w+)\}((?:\.\w+)*)")


def load(stage: str, arm: str | None = None, root: Path = Path(".")) -> Params:
    """Return the parameters that `root`/dvc.yaml declares for the stage, with values from `root`/params.yaml.

    arm: which of the stage's arms, where it has some. Raises InputError for an unknown stage, parameter or preset, and
    for values that `schema.build` refuses.
    """
    return resolve(stage, read_mapping(root / "dvc.yaml"), read_mapping(root / "params.yaml"), arm)


def resolve(stage: str, pipeline: Mapping[str, Any], everything: Mapping[str, Any], arm: str | None = None) -> Params:
    """`load` from the contents of dvc.yaml and params.yaml."""
    values: dict[str, Any] = {}  # by field of Params
    sections: dict[str, tuple[type[Section], str]] = {}  # by field: its kind, and its name in params.yaml
    whole: set[str] = set()  # dotted names that are declared with all that they hold
    for name in declared(stage, pipeline, arm):
        if match := _PRESET.fullmatch(name):
            family, selector, part = match.groups()
            chosen = preset(everything, family, selector)
            field, path, source = PRESETS[family], f"{family}.{chosen['name']}", chosen
            values.setdefault(field, {})["name"] = chosen["name"]
        else:
            field, _, part = name.partition(".")
            path, source, part = field, _lookup(everything, field, name, stage), f".{part}" if part else ""
        if isinstance(source, dict):
            sections[field] = section_kind(field, source, path), path
        whole.add(path + part)
        _put(values, [field, *part.split(".")[1:]], _lookup(source, part[1:], path + part, stage))
    if own := shipped(values.get("generator", {}).get("path"), values.get("dataset")):
        values["generator"] |= {name: own.get(name) for name in ("path", "tiny_decoder") if name in values["generator"]}
    for field, (kind, path) in sections.items():
        values[field] = build(kind, values[field], path, stage, frozenset(whole))
    return build(Params, values, "", stage, frozenset(whole))


def preset(everything: Mapping[str, Any], family: str, selector: str) -> dict[str, Any]:
    """The preset of a family that the parameter `selector` chooses, with its name; InputError for an unknown one."""
    name, known = everything.get(selector), everything.get(family) or {}
    if not isinstance(known, dict):
        raise InputError(f"{family} in params.yaml must hold presets by name, not {known!r}; restore it with git")
    if not isinstance(name, str) or name not in known:
        raise InputError(f"unknown {selector} '{name}'; params.yaml knows {', '.join(map(str, known))}")
    chosen = {} if known[name] is None else known[name]
    if not isinstance(chosen, dict):
        raise InputError(f"{family}.{name} must hold `name: value` lines, not {chosen!r}; correct it in params.yaml")
    return {**chosen, "name": name}


def work_key(params: Params, inputs: Iterable[str], **more: Any) -> dict[str, Any]:
    """The key of a `Scratch`: parameters, hashes of the input files and folders, and what else decides the result."""
    return {**plain(params), "inputs": [hash_tree(path) for path in inputs], **more}


def _lookup(node: Any, part: str, name: str, stage: str) -> Any:
    """What stands at `part`, a dotted name or nothing, below a node of params.yaml; name: of all of it, for errors."""
    for key in part.split(".") if part else ():
        if not isinstance(node, dict) or key not in node:
            raise InputError(f"dvc.yaml declares parameter '{name}' for stage '{stage}', but params.yaml lacks it")
        node = node[key]
    return copy.deepcopy(node)


def _put(values: dict[str, Any], parents: list[str], value: Any) -> None:
    *above, last = parents
    node = values
    for name in above:
        node = node.setdefault(name, {})
    # Declared both whole and in part (`train` and `train.lr`): the whole contains the part.
    node[last] = {**node.get(last, {}), **value} if isinstance(value, dict) else value
