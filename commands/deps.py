"""Command deps: writes each stage's code into dvc.yaml as its dependencies, which are the files that it imports.

python -m commands.deps
"""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from src.runtime.entry import run_stage
from src.runtime.files import atomic_write, read_bytes
from src.versions.import_closure import import_closure

PIPELINE = Path("dvc.yaml")


def main() -> None:
    yaml = YAML()
    yaml.width, yaml.indent = 4096, 2  # no line is folded
    pipeline: dict[str, Any] = yaml.load(read_bytes(PIPELINE))
    for name, entry in pipeline["stages"].items():
        stage = entry.get("do", entry)
        others = [path for path in stage["deps"] if not path.endswith(".py")]
        stage["deps"] = [*others, *sorted(import_closure(Path("stages") / f"{name}.py"))]
    text = io.BytesIO()
    yaml.dump(pipeline, text)
    atomic_write(PIPELINE, text.getvalue())


if __name__ == "__main__":
    run_stage(main, arguments=False)
