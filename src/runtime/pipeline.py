"""What dvc.yaml says of a stage (arms, code, parameters that it may read), and what dvc.lock recorded of it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.runtime.errors import InputError
from src.runtime.files import hash_file, read_yaml

_ITEM = re.compile(r"\$\{item\.(\w+)\}")
_TEMPLATE = re.compile(r"\$\{([\w.]+)\}")


def read_mapping(path: Path) -> dict[str, Any]:
    """The contents of a YAML file of `name: value` lines; InputError for another, or if it is missing."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no `name: value` lines; restore it with git")
    return content


def read_lock(path: Path) -> dict[str, Any]:
    """What DVC recorded of each stage in dvc.lock; nothing if there is no such file, or no stage in it."""
    content = read_yaml(path) if path.exists() else None
    stages = content.get("stages") if isinstance(content, dict) else None
    return stages if isinstance(stages, dict) else {}


def stage_entry(stage: str, pipeline: Mapping[str, Any]) -> dict[str, Any]:
    """What dvc.yaml, read as `pipeline`, says under the stage's name; InputError for an unknown stage."""
    stages = pipeline.get("stages")
    if not isinstance(stages, dict) or not isinstance(stages.get(stage), dict):
        raise InputError(f"dvc.yaml has no stage '{stage}'; it has {', '.join(map(str, stages or ())) or 'none'}")
    return stages[stage]


def arms_of(entry: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The arms that a stage runs for, each with its own words (`${item...}`); none where it runs once."""
    if "matrix" in entry:
        return {arm: {"arm": arm} for arm in entry["matrix"]["arm"]}
    return dict(entry.get("foreach") or {})


def declared(stage: str, pipeline: Mapping[str, Any], arm: str | None = None) -> list[str]:
    """The parameters that dvc.yaml declares for the stage in this arm, or in any of its arms."""
    entry = stage_entry(stage, pipeline)
    entries = entry.get("do", entry).get("params") or []
    if others := [name for name in entries if not isinstance(name, str)]:
        raise InputError(f"stage '{stage}' declares parameters of another file, {others[0]}; use params.yaml alone")
    arms = [words for name, words in arms_of(entry).items() if arm in (None, name)] or [{}]
    names = [_filled(name, words) for name in entries for words in arms]
    return list(dict.fromkeys(names))


def _filled(text: str, words: Mapping[str, Any]) -> str:
    return _ITEM.sub(lambda match: str(words[match[1]]), text)


def code_of(stage: str) -> dict[str, str]:
    """Return the hash of each file of code that dvc.yaml names for the stage; none where it knows no such stage.

    What a stage left unfinished belongs to the code that made it, as DVC's own record of a finished stage does.
    """
    pipeline = read_mapping(Path("dvc.yaml")) if Path("dvc.yaml").exists() else {}
    entry = (pipeline.get("stages") or {}).get(stage) or {}
    named = [path for path in entry.get("do", entry).get("deps") or () if _is_code(str(path))]
    return {path: hash_file(path) for path in named if Path(path).exists()}


def arm_of(stage: str, given: Sequence[str]) -> str:
    """The arm that the command line gives; InputError unless it is one that dvc.yaml runs the stage for."""
    known = list(arms_of(stage_entry(stage, read_mapping(Path("dvc.yaml")))))
    if len(given) != 1 or given[0] not in known:
        raise InputError(
            f"stage '{stage}' works on one arm, {' or '.join(known)}, not on '{' '.join(given)}'; run "
            f"`python -m stages.{stage} {known[0]}`"
        )
    return given[0]


def inputs_of(stage: str, arm: str | None = None) -> list[str]:
    """The files and folders, other than code, that dvc.yaml names as the stage's dependencies in this arm."""
    entry, everything = stage_entry(stage, read_mapping(Path("dvc.yaml"))), read_mapping(Path("params.yaml"))
    words = {
        **everything,
        "key": arm,
        **{f"item.{name}": word for name, word in arms_of(entry).get(arm or "", {}).items()},
    }
    paths = [_TEMPLATE.sub(lambda match: str(words.get(match[1])), path) for path in entry.get("do", entry)["deps"]]
    return [path for path in paths if not _is_code(path)]


def _is_code(path: str) -> bool:
    """Whether a dependency is code, or data that belong to it."""
    return path.endswith(".py") or path.startswith("src/")
