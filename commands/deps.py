"""Command deps: writes each stage's code into dvc.yaml as its dependencies, which are the files that it imports.

python -m commands.deps
"""

import io
from pathlib import Path

from ruamel.yaml import YAML

from src.runtime.entry import run_stage
from src.runtime.errors import InputError
from src.runtime.files import atomic_write, read_bytes
from src.versions.import_closure import ROOT, import_closure

PIPELINE = ROOT / "dvc.yaml"


def main() -> None:
    before = read_bytes(PIPELINE)
    after = with_code(before)
    if after != before:
        atomic_write(PIPELINE, after)


def with_code(pipeline: bytes, root: Path = ROOT) -> bytes:
    """The contents of a dvc.yaml with each stage's code as it is under `root`, all else as it was.

    Data come before code, which is sorted. Raises InputError for a stage without a script.
    """
    yaml = YAML()  # the round-trip kind, as DVC's own
    yaml.preserve_quotes, yaml.width = True, 4096  # no line is folded
    content = yaml.load(pipeline)
    for name, entry in content["stages"].items():
        script, deps = root / "stages" / f"{name}.py", entry.get("do", entry)["deps"]
        if not script.is_file():
            raise InputError(f"dvc.yaml has the stage '{name}', but stages/{name}.py is missing; write it first")
        for place in reversed([k for k, path in enumerate(deps) if path.endswith(".py")]):
            del deps[place]  # one by one, so that comments stay at the others
        deps.extend(sorted(import_closure(script, root)))
    text = io.BytesIO()
    yaml.dump(content, text)
    return text.getvalue()


if __name__ == "__main__":
    run_stage(main, arguments=False)
