"""Run all stages in this one process and note which parameters each of them reads, arms apart.

python -m tests.recording reads.json        # in the repository that is to be run

A read is a value taken from a section by name; of a section that is copied with changes, all are. What names the
scratch folder (`schema.plain`) is no read. Noise stands for the photographs that do not ship.
"""

import importlib
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from src.runtime.pipeline import arms_of
from src.settings.schema import Section, plain
from src.settings.sections import PRESETS


def leaves(values: dict[str, Any], path: str = "") -> set[str]:
    """Dotted names of all values that are not themselves parts."""
    names: set[str] = set()
    for name, value in values.items():
        here = f"{path}.{name}".lstrip(".")
        names |= leaves(value, here) if isinstance(value, dict) else {here}
    return names


class Reads:
    """What has been read, by stage. While a stage is set, reads of all sections are noted under its name."""

    def __init__(self) -> None:
        self.stage = ""
        self.names: dict[str, set[str]] = defaultdict(set)
        ordinary = Section.__getattribute__

        def noting(section: Section, name: str) -> Any:
            value = ordinary(section, name)
            own = ordinary(section, "__dict__")
            if name in type(section).__dataclass_fields__ and "_path" in own and not isinstance(value, Section):  # type: ignore[attr-defined]
                self.names[self.stage] |= leaves({name: plain(value)}, _field(own["_path"]))
            return value

        Section.__getattribute__ = noting  # type: ignore[method-assign, assignment]


def _field(path: str) -> str:
    """`recipe` for recipes.digits: what stages call the chosen preset."""
    family, _, rest = path.partition(".")
    return ".".join([PRESETS[family], *rest.split(".")[1:]]) if family in PRESETS else path


def main() -> None:
    out, reads = Path(sys.argv[1]), Reads()
    for name, entry in yaml.safe_load(Path("dvc.yaml").read_text())["stages"].items():
        script: Any = importlib.import_module(f"stages.{name}")
        if hasattr(script, "for_generators"):
            script.for_generators = lambda folder: np.random.default_rng(0).integers(0, 256, (10, 8, 28, 28), np.uint8)
        for arm in list(arms_of(entry)) or [""]:
            reads.stage = f"{name}@{arm}".rstrip("@")
            reads.names[reads.stage] = set()
            sys.argv[1:] = filter(None, [arm])
            script.main()
    out.write_text(json.dumps({stage: sorted(names) for stage, names in reads.names.items()}))


if __name__ == "__main__":
    main()
