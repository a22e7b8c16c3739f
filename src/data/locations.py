"""Where a published or own data set lies on disk, and what to say when it is not there."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.runtime.errors import InputError

GUIDE = "SOURCE.md"


def raw_folder(settings: Mapping[str, Any]) -> Path:
    """The preset's `path`, or data/raw/<name>.

    A queued DVC experiment runs in a temporary copy, which lacks data that neither git nor DVC tracks: if the folder
    here holds nothing but its SOURCE.md, the main repository's (DVC_ROOT) is taken if that one holds more.
    """
    folder = Path(settings.get("path") or f"data/raw/{settings['name']}").expanduser()
    root = os.environ.get("DVC_ROOT")
    if root and not folder.is_absolute() and not _filled(folder) and _filled(Path(root) / folder):
        return Path(root) / folder
    return folder


def state(settings: Mapping[str, Any]) -> str:
    """Names what the data set's files hold, without reading them: a hash of every path, size and time of change.

    Empty where there are none, as for data that a library ships.
    """
    digest, found = hashlib.sha256(), False
    for root in (raw_folder(settings), *map(Path, filter(None, [settings.get("images")]))):
        for folder, below, names in os.walk(root.expanduser()):
            below.sort()
            for name in sorted(names):
                try:
                    about = os.stat(os.path.join(folder, name))
                except OSError:  # a link that leads nowhere: whoever reads the file says so
                    continue
                digest.update(f"{folder}/{name} {about.st_size} {about.st_mtime_ns}\n".encode(errors="surrogateescape"))
                found = True
    return digest.hexdigest() if found else ""


def missing(folder: Path, looked_for: Sequence[str], settings: Mapping[str, Any], setting: str = "path") -> InputError:
    """The sentence for a data set that is not there, or not whole.

    looked_for: names within `folder`, which the preset's `setting` names.
    """
    name = settings["name"]
    return InputError(
        f"dataset '{name}' lacks {', '.join(looked_for)}, looked for in {folder}; data/raw/{name}/{GUIDE} says where "
        f"to get the data and how to lay it out there, or set datasets.{name}.{setting} in params.yaml to where it lies"
    )


def _filled(path: Path) -> bool:
    if not path.is_dir():
        return path.exists()
    return any(entry.name != GUIDE and not entry.name.startswith(".") for entry in path.iterdir())
