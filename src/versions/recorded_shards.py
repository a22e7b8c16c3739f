"""What DVC recorded of a folder of shards, which of its files still are that, and a scratch seeded with those.

DVC links its outputs to its cache instead of copying them: a workspace file and its object in the cache are one file,
so that both are damaged or neither is.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from src.runtime.errors import InputError
from src.runtime.files import atomic_write, hash_file
from src.runtime.folders import link
from src.runtime.pipeline import read_lock
from src.shards.check import damaged
from src.shards.index import INDEX

SHARDS = (Path("data/real"), Path("data/synth"))  # hold folders of shards
_MD5 = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class Record:
    """One output of a stage. files: the md5 of each by name, empty if the cache has lost or damaged its list."""

    folder: Path
    stage: str
    files: dict[str, str]
    objects: Path

    def stored(self, name: str) -> Path:
        """The object in DVC's cache that holds, or held, the file."""
        return _object(self.objects, self.files[name])

    def altered(self) -> list[str]:
        """Names of the files that are missing or not what was recorded."""
        return [name for name, md5 in self.files.items() if not is_intact(self.folder / name, md5)]

    def stray(self, names: list[str]) -> list[Path]:
        """The objects of these files that are there and wrong, from which DVC would take wrong files later."""
        known = {self.stored(name): self.files[name] for name in names if name in self.files}
        return [path for path, md5 in known.items() if path.exists() and not is_intact(path, md5)]

    def is_stored(self) -> bool:
        """Whether the cache has an object for every file."""
        return bool(self.files) and all(self.stored(name).exists() for name in self.files)


def read_record(folder: Path, cache: Path, lock: Path = Path("dvc.lock")) -> Record:
    """What dvc.lock and the list of files in the cache say about an output; InputError if no stage wrote it.

    cache: as `dvc cache dir` says. A damaged list is removed: DVC writes it again with the output.
    """
    for stage, entry in read_lock(lock).items():
        for out in entry.get("outs", []):
            if Path(out["path"]) == folder:
                objects = cache / "files" / "md5"
                return Record(folder, stage, _listed(objects, out["md5"]), objects)
    raise InputError(f"{folder} is in no stage of {lock}; run `dvc repro`")


def recorded(lock: Path = Path("dvc.lock")) -> list[Path]:
    """The folders of shards that are outputs in dvc.lock, there or not; real ones first, since synthesis reads them."""
    outs = [out for entry in read_lock(lock).values() for out in entry.get("outs", [])]
    folders = [Path(out["path"]) for out in outs if out.get("md5", "").endswith(".dir")]
    return sorted(path for path in folders if path.parent in SHARDS)


def defects(folder: Path) -> dict[str, str]:
    """What is wrong with the folder's shards or index, by file name, as half a sentence; empty if all is sound."""
    try:
        return damaged(folder)
    except InputError:
        return {INDEX: "is missing or damaged"}


def is_intact(path: Path, md5: str) -> bool:
    """Whether the file is there with these contents."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest() == md5
    except OSError:
        return False


def seed(scratch: Path, folder: Path, names: list[str]) -> None:
    """Put shards of `folder`, known to be sound, into a stage's scratch, as if it had just made them."""
    for name in names:
        target = scratch / "shards" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        link((folder / name).resolve(), target)
        atomic_write(scratch / "sums" / f"{name}.sha256", hash_file(target).encode())


def _object(objects: Path, md5: str) -> Path:
    return objects / md5[:2] / md5[2:]


def _listed(objects: Path, md5: str) -> dict[str, str]:
    path = _object(objects, md5)
    if not is_intact(path, md5.removesuffix(".dir")):
        path.unlink(missing_ok=True)
        return {}
    entries = {entry["relpath"]: entry["md5"] for entry in json.loads(path.read_bytes())}
    # The list may come from somebody else's remote, and what it names gets replaced.
    sound = all(Path(name).name == name and _MD5.fullmatch(md5) for name, md5 in entries.items())
    return entries if sound else {}
