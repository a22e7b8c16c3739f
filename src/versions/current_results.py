"""Whether results are those of the parameters that stand beside them, by what DVC recorded of how they were made.

A run that stops early leaves the results of the run before it where its own would be. dvc.lock holds for each stage the
parameters it was run with and the hashes of what went in and came out; a result belongs to params.yaml if these agree
all the way up.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from src.runtime.errors import InputError, listed
from src.runtime.pipeline import read_lock, read_mapping

# Which choice picks the preset of each family.
SELECTORS = {
    "datasets": "dataset",
    "generators": "generator",
    "feedbacks": "feedback",
    "budgets": "dataset",
    "recipes": "dataset",
}
CHOICES = ("dataset", "generator", "feedback", "seed")
# Stages beside the others, whose files a study's experiments leave as they were.
COST, DIFFICULTY, SHEETS = "measure_cost", "measure_difficulty", "draw_sheets"
SHOWN = 3


def require_current(root: Path, below: str = "metrics/") -> None:
    """InputError unless what stages write `below` this folder was made with params.yaml; all at `root`.

    Code is not compared: DVC itself looks after that. Nor is what stages beside the others write: `is_current`.
    """
    lock, params = read_lock(root / "dvc.lock"), read_mapping(root / "params.yaml")
    writers = [stage for stage in _writers(lock, below) if not stage.startswith((COST, DIFFICULTY, SHEETS))]
    recorded, differing, replaced = _compared(root, lock, params, writers)
    made, asked = _choices_of(recorded), {name: params[name] for name in CHOICES if name in params}
    chosen = any(name in made and made[name] != asked[name] for name in asked)
    if not writers:
        raise InputError(f"there are no results here; this run ({_listed(asked)}) has none yet, `dvc repro` makes them")
    if chosen or differing or replaced:
        another = f", with another {listed(differing, SHOWN)}" if differing else ", of files that changed since"
        run = f"this run ({_listed(asked)}{'' if chosen else another})"
        raise InputError(f"the results here are of {_listed(made)}; {run} has none yet, `dvc repro` makes them")


def is_current(root: Path, beside: str) -> bool:
    """Whether what this stage wrote, COST, DIFFICULTY or SHEETS, is of the images and models at `root`."""
    lock, params = read_lock(root / "dvc.lock"), read_mapping(root / "params.yaml")
    _, differing, replaced = _compared(root, lock, params, [stage for stage in lock if stage.startswith(beside)])
    return not differing and not replaced


def _writers(lock: Mapping[str, Any], below: str) -> list[str]:
    return [stage for stage, entry in lock.items() if any(path.startswith(below) for path in _hashes(entry, "outs"))]


def _compared(
    root: Path, lock: Mapping[str, Any], params: Mapping[str, Any], writers: list[str]
) -> tuple[dict[str, Any], list[str], bool]:
    """All parameters that these stages and those before them were run with, which differ, and whether files do."""
    every = _ancestors(lock, writers)
    recorded = {name: value for stage in sorted(every) for name, value in _recorded(lock[stage]).items()}
    differing = sorted({name for stage in every for name in _differing(_recorded(lock[stage]), params)})
    return recorded, differing, _outdated(lock, every) or _replaced(root, lock, writers)


def _recorded(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return (entry.get("params") or {}).get("params.yaml") or {}


def _hashes(entry: Mapping[str, Any], side: str) -> dict[str, str | None]:
    return {item["path"]: item.get("md5") for item in entry.get(side) or ()}


def _ancestors(lock: Mapping[str, Any], stages: list[str]) -> set[str]:
    """These stages and all whose outputs they took in."""
    makers = {path: stage for stage, entry in lock.items() for path in _hashes(entry, "outs")}
    found: set[str] = set()
    todo = list(stages)
    while todo:
        stage = todo.pop()
        if stage not in found:
            found.add(stage)
            todo += [makers[path] for path in _hashes(lock[stage], "deps") if path in makers]
    return found


def _choices_of(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The choices that parameters tell by the presets among them."""
    parts = (name.split(".") for name in recorded)
    presets = {SELECTORS[family]: more[0] for family, *more in parts if more and family in SELECTORS}
    told = {**presets, **recorded}
    return {name: told[name] for name in CHOICES if name in told}


def _differing(recorded: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[str]:
    """Names of the parameters that have another value now; a preset that is not chosen now is no parameter."""
    for name, value in recorded.items():
        node: Any = params
        for part in name.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        yield from _leaves_that_differ(name, value, node)


def _leaves_that_differ(name: str, ours: Any, theirs: Any) -> Iterator[str]:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in ours.keys() | theirs.keys():
            yield from _leaves_that_differ(f"{name}.{key}", ours.get(key), theirs.get(key))
    elif ours != theirs:
        yield name


def _outdated(lock: Mapping[str, Any], stages: set[str]) -> bool:
    """Whether a stage took in what its maker has made anew since."""
    made = {path: md5 for entry in lock.values() for path, md5 in _hashes(entry, "outs").items()}
    return any(made.get(path, md5) != md5 for stage in stages for path, md5 in _hashes(lock[stage], "deps").items())


def _replaced(root: Path, lock: Mapping[str, Any], stages: list[str]) -> bool:
    """Whether a file that git keeps is another than the one that its stage wrote."""
    return any(
        md5 is not None and (root / path).is_file() and hashlib.md5((root / path).read_bytes()).hexdigest() != md5
        for stage in stages
        for path, md5 in _hashes(lock[stage], "outs").items()
        if path.startswith("metrics/")
    )


def _listed(choices: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in choices.items())
