"""A result belongs to what was there when it was begun: a stage fails if what it read has moved meanwhile.

DVC hashes a stage's dependencies after its command (treeverse/dvc#11058): with a parameter edited while the stage runs,
dvc.lock and the run-cache would give the new value to the results of the old one, and later experiments those results.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from src.runtime.entry import run_stage
from src.runtime.errors import InputError, listed
from src.runtime.files import hash_file
from src.runtime.pipeline import arm_of, arms_of, code_of, inputs_of, read_mapping, stage_entry
from src.runtime.processes import is_main
from src.settings.params import load
from src.settings.schema import plain

# When this is imported, before what takes seconds to import, as the package stages sees to.
CODE = {
    str(path): hash_file(path)
    for folder in ("src", "stages")
    for kind in ("*.py", "*.yaml")
    for path in Path(folder).rglob(kind)
}
UNREADABLE = "params.yaml"


def unmoved(stage: str, main: Callable[[], None]) -> Callable[[], None]:
    """`main` of the stage with a look at what dvc.yaml names for it before and after; the main process looks.

    InputError after `main` for parameters that the stage reads, files of its code, or inputs that are not what they
    were; what else changes in params.yaml does not matter.
    """

    def watched() -> None:
        if not is_main() or not Path("dvc.yaml").exists():
            main()
            return
        arm = arm_of(stage, sys.argv[1:]) if arms_of(stage_entry(stage, read_mapping(Path("dvc.yaml")))) else None
        now = code_of(stage)
        before = {**_state(stage, arm), **now, **{path: CODE[path] for path in now.keys() & CODE.keys()}}
        main()
        after = {**_state(stage, arm), **code_of(stage)}
        moved = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        if UNREADABLE in after.keys() - before.keys():
            moved = [UNREADABLE]
        if moved:
            raise InputError(
                f"{listed(moved, 1)} changed while {stage} ran, so that its results belong to neither state; run the "
                "same command again"
            )

    return watched


def run(stage: str, main: Callable[[], None], shared: bool = False, arguments: bool = True) -> None:
    """`run_stage` of the stage, `unmoved`."""
    run_stage(unmoved(stage, main), shared, arguments)


def _state(stage: str, arm: str | None) -> dict[str, Any]:
    """Values of the parameters that the stage reads, and size and time of every file that it takes in."""
    try:
        state = dict(_leaves("", plain(load(stage, arm))))
        inputs = inputs_of(stage, arm)
    except InputError:
        return {UNREADABLE: None}  # at the beginning `main` says why
    for given in inputs:
        for path in _files(given):
            with suppress(FileNotFoundError):  # it has gone meanwhile, which the other look tells
                stat = path.lstat()  # a link that leads nowhere is the loader's to refuse
                state[str(path)] = stat.st_size, stat.st_mtime_ns
    return state


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(f"{name}.{key}" if name else key, item)
    else:
        yield name, value


def _files(given: str) -> Iterator[Path]:
    if Path(given).is_file():
        yield Path(given)
    for folder, _, names in os.walk(given):
        yield from (Path(folder, name) for name in names)
