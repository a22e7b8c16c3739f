"""Where a published or own data set lies on disk, and what to say when it is not there."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from src.runtime.errors import InputError
from src.settings.dataset_settings import DatasetSettings

GUIDE = "SOURCE.md"


def raw_folder(settings: DatasetSettings, setting: str = "path", holding: str = "") -> Path:
    """The folder that a preset's `setting` names; data/raw/<name> where it names none.

    A queued DVC experiment runs in a temporary copy, which lacks data that neither git nor DVC tracks: if the folder
    here holds nothing but its SOURCE.md, or not the file `holding`, the main repository's (DVC_ROOT) is taken if that
    one does.
    """
    folder = Path(getattr(settings, setting, None) or f"data/raw/{settings.name}").expanduser()
    root = os.environ.get("DVC_ROOT")
    if root and not folder.is_absolute() and not _filled(folder / holding) and _filled(Path(root) / folder / holding):
        return Path(root) / folder
    return folder


def raw_state(settings: DatasetSettings) -> str:
    """Names what the data set's files hold, without reading them: a hash of every path, size and time of change.

    Empty where there are none, as for data that a library ships.
    """
    digest, empty = hashlib.sha256(), True
    images = getattr(settings, "images", None)
    for root in (raw_folder(settings), *([raw_folder(settings, "images")] if images else [])):
        for folder, below, names in os.walk(root.parent if root.is_file() else root):  # a list beside its images
            below.sort()
            for name in sorted(names):
                try:
                    file = os.stat(os.path.join(folder, name))
                except OSError:  # a link that leads nowhere: whoever reads the file says so
                    continue
                digest.update(f"{folder}/{name} {file.st_size} {file.st_mtime_ns}\n".encode(errors="surrogateescape"))
                empty = False
    return "" if empty else digest.hexdigest()


def missing_data(
    folder: Path, looked_for: Sequence[str], settings: DatasetSettings, setting: str = "path"
) -> InputError:
    """The sentence for a published data set that is not there, or not whole.

    looked_for: names within `folder`, which the preset's `setting` names.
    """
    return InputError(
        f"dataset '{settings.name}' lacks {', '.join(looked_for)}, looked for in {folder}; "
        f"data/raw/{settings.name}/{GUIDE} says where to get the data and how to lay it out there, or set "
        f"{settings.preset}.{setting} in params.yaml to where it lies"
    )


def missing_images(folder: Path, looked_for: str, settings: DatasetSettings) -> InputError:
    """The sentence for own data that are not where the preset says."""
    return InputError(
        f"dataset '{settings.name}' lacks {looked_for}, looked for in {folder}; put your images there, or set "
        f"{settings.preset}.path in params.yaml to where they lie"
    )


def _filled(path: Path) -> bool:
    if not path.is_dir():
        return path.exists()
    return any(entry.name != GUIDE and not entry.name.startswith(".") for entry in path.iterdir())
