"""Run all stages in this one process and note which parameters each of them reads.

python -m tests.recording reads.json        # in the repository that is to be run

A read is a value taken by name, or a part taken whole with `as_dict()`. `as_dict()` of everything is no read: it names
the scratch folder.
"""

import importlib
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from src.runtime.pipeline import arms_of
from src.settings import params

READS: dict[str, set[str]] = defaultdict(set)


class Recording(params.Params):
    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if not isinstance(value, params.Params):
            READS[self._stage].add(f"{self._path}.{name}".lstrip("."))
        return value

    def as_dict(self) -> dict[str, Any]:
        values = super().as_dict()
        if self._path:
            READS[self._stage] |= leaves(values, self._path)
        return values


def leaves(values: dict[str, Any], path: str = "") -> set[str]:
    """Dotted names of all values that are not themselves parts."""
    found: set[str] = set()
    for name, value in values.items():
        here = f"{path}.{name}".lstrip(".")
        found |= leaves(value, here) if isinstance(value, dict) else {here}
    return found


def main() -> None:
    params.Params = Recording  # type: ignore[misc]
    stages = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    for name, stage in stages.items():
        script = importlib.import_module(f"stages.{name}")
        for arguments in [[arm] for arm in arms_of(stage)] or [[]]:
            sys.argv[1:], out = arguments, sys.argv[1:]
            script.main()
            sys.argv[1:] = out
    Path(sys.argv[1]).write_text(json.dumps({name: sorted(READS[name]) for name in stages}))


if __name__ == "__main__":
    main()
