"""Run all stages in this one process and note which parameters each of them reads.

python -m tests.recording reads.json        # in the repository that is to be run

A read is a value taken from a section by its name, or a section taken whole with `plain`. `plain` of everything is no
read, as it names the scratch folder, and neither is what a section checks of itself or `replace` copies.
"""

import dataclasses
import importlib
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from src.runtime.pipeline import arms_of, read_mapping
from src.settings import schema
from src.settings.schema import Section

READS: dict[str, set[str]] = defaultdict(set)
_unnoted = 0  # reads while this is positive are not the stage's own


def leaves(values: dict[str, Any], path: str = "") -> set[str]:
    """Dotted names of all values that are not themselves mappings."""
    names: set[str] = set()
    for name, value in values.items():
        dotted = f"{path}.{name}".lstrip(".")
        names |= leaves(value, dotted) if isinstance(value, dict) else {dotted}
    return names


def parameters(section: Section) -> set[str]:
    """What params.yaml calls the values of a section and of its parts; the name of a preset is no parameter."""
    names: set[str] = set()
    for name, value in vars(section).items():
        if not name.startswith("_"):
            names |= parameters(value) if isinstance(value, Section) else _dotted(section, name)
    return names


def _dotted(section: Section, name: str) -> set[str]:
    path = vars(section).get("_path")  # none: made by the stage itself
    return set() if path is None or name == "name" else {f"{path}.{name}".lstrip(".")}


def _note(section: Section, names: set[str]) -> None:
    if not _unnoted:
        READS[vars(section).get("_stage", "")] |= names


@contextmanager
def _without_notes() -> Iterator[None]:
    global _unnoted
    _unnoted += 1
    try:
        yield
    finally:
        _unnoted -= 1


def record() -> None:
    """From now on; before any module takes `plain`, `build` or `replace` by its name."""
    read, plain, build, replace = Section.__getattribute__, schema.plain, schema.build, dataclasses.replace

    def reading(section: Section, name: str) -> Any:
        value = read(section, name)
        if name in getattr(type(section), "__dataclass_fields__", ()) and not isinstance(value, Section):
            _note(section, _dotted(section, name))
        return value

    def taking_whole(value: Any) -> Any:
        if isinstance(value, Section) and vars(value).get("_path"):
            _note(value, parameters(value))
        return quietly(plain)(value)

    def copying(section: Any, **changes: Any) -> Any:
        copy = quietly(replace)(section, **changes)
        if isinstance(section, Section):
            vars(copy).update({name: vars(section)[name] for name in ("_stage", "_path") if name in vars(section)})
        return copy

    def quietly(function: Callable[..., Any]) -> Callable[..., Any]:
        def quiet(*arguments: Any, **options: Any) -> Any:
            with _without_notes():
                return function(*arguments, **options)

        return quiet

    Section.__getattribute__ = reading  # type: ignore[method-assign]
    schema.plain, schema.build, dataclasses.replace = taking_whole, quietly(build), copying


def main() -> None:
    record()
    stages = read_mapping(Path("dvc.yaml"))["stages"]
    for name, entry in stages.items():
        script = importlib.import_module(f"stages.{name}")
        for arguments in [[arm] for arm in arms_of(entry)] or [[]]:
            sys.argv[1:], rest = arguments, sys.argv[1:]
            script.main()
            sys.argv[1:] = rest
    Path(sys.argv[1]).write_text(json.dumps({name: sorted(READS[name]) for name in stages}))


if __name__ == "__main__":
    main()
