"""A work folder that survives interruption, keyed by everything its contents depend on.

DVC deletes a stage's outputs before it runs, so unfinished work lives under `.dvc/tmp/scratch` of the main
repository (`DVC_ROOT` also in queued experiments) and moves to the output when it is complete. It also stays there, as
hard links in `<stage>-<digest>.done`, until another stage begins: DVC hashes the output after the stage, for minutes if
it is large, and should it be killed then it deletes the output and runs the stage again.

Processes may share one (`shared`): the main one, RANK 0 or no launcher at all, opens and publishes it, the others join
it, work and leave, at any time and from any machine that sees the folder.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save

from src.claims import Claims, Gone
from src.errors import InputError
from src.files import atomic_write, read_yaml
from src.parallel import is_main

WAIT = 600.0  # seconds that a process waits for the main one, which may still be importing or reading
POLL = 0.5
PUBLISHED = "published.json"  # in a scratch that has become an output: the output's path, and the names of what did


class Scratch:
    """The folder of one stage under one key: the same key finds the same work again, another finds none."""

    def __init__(self, stage: str, key: Mapping[str, Any], make: bool = True) -> None:
        """key: all that the result depends on (parameters, input hashes), JSON-able; kept as `key.json`.

        make: whether the folder is to be there from now on.
        """
        text = json.dumps(key, sort_keys=True, allow_nan=False)
        root = Path(os.environ.get("DVC_ROOT") or Path.cwd())
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.path = root / ".dvc" / "tmp" / "scratch" / f"{stage}-{self.digest}"
        self.marker = self.path.with_name(f"{stage}.published")
        self.mains: Claims | None = None
        self.done = self.path.with_name(f"{self.path.name}.done")
        if make:
            self._look_back(stage)
            self.path.mkdir(parents=True, exist_ok=True)
            atomic_write(self.path / "key.json", text.encode())

    def publish(self, source: str | Iterable[str], out: Path | str) -> None:
        """Replace the folder `out` by a finished one, then put the scratch folder aside.

        source: the name of a finished folder in the scratch folder, or names of files and folders that become
        `out`'s contents. `out` appears in one rename, and the scratch folder stays whole until then, so that
        an interrupted publish can be repeated. Temporary files of killed processes (`.*.tmp`) stay behind. Raises
        InputError if something named is not there.
        """
        out = Path(out)
        names = [source] if isinstance(source, str) else list(source)
        if missing := [name for name in names if not (self.path / name).exists()]:
            raise InputError(f"{self.path} lacks {', '.join(missing)}; delete that folder and run the stage again")
        complete = out.with_name(f".{out.name}.{os.getpid()}.tmp")
        remove(complete)
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            if isinstance(source, str):
                _copy(self.path / source, complete)
            else:
                complete.mkdir()
                for name in names:
                    _copy(self.path / name, complete / name)
            remove(out)
            os.replace(complete, out)
        except BaseException:
            remove(complete)
            raise
        for left in out.parent.glob(f".{out.name}.*.tmp"):  # of a process that was killed while it published
            remove(left)
        self._leave(out, names)

    def is_published(self, out: Path) -> bool:
        """Whether a shared scratch of this key has become `out`."""
        try:
            return self.marker.read_text().strip() == self.digest and out.exists()
        except OSError:
            return False

    def _leave(self, out: Path, names: list[str]) -> None:
        if self.mains is not None:
            atomic_write(self.marker, self.digest.encode())
            self.mains.release(self.mains.token)
            if self.mains.others():  # such as the same stage in another experiment, which is about to publish it too
                return
        # Away in one step: whoever still works in it cannot move anything to a place that is not there any more.
        if _linked(_files(self.path, names)):  # copies would double the disk
            try:
                atomic_write(self.path / PUBLISHED, json.dumps({"out": out.as_posix(), "names": names}).encode())
                _away(self.done)
                os.rename(self.path, self.done)
            except OSError:  # of several main processes another was faster, or the disk is full to the last byte
                pass
        _away(self.path)

    def _look_back(self, stage: str) -> None:
        """Forget what other stages published, since DVC knows it by now; find this one's again if DVC does not."""
        for path in self.path.parent.glob("*.done"):
            if path.name[: -len(f"-{self.digest}.done")] != stage:
                _away(path)
        try:
            note = json.loads((self.done / PUBLISHED).read_text())
            files = _files(self.done, note["names"])
            if not _linked(files) and not _in_lock(note["out"], files) and not self.path.exists():
                os.rename(self.done, self.path)
        except (OSError, ValueError, TypeError, LookupError):
            pass
        _away(self.done)


@contextmanager
def shared(stage: str, key: Mapping[str, Any], out: Path, wait: float = WAIT) -> Iterator[Scratch | None]:
    """The scratch in which all processes of a stage work; None for one that comes after it has become `out`.

    Inside, the main process is known to other main processes of the same key (`dvc queue` with two workers), so that
    the first to finish leaves the scratch to the others. wait: seconds that another process waits for the main one to
    open the scratch. Raises InputError if it does not.
    """
    if not is_main():
        yield _join(Scratch(stage, key, make=False), stage, out, wait)
        return
    scratch, mains = _open(stage, key)
    with mains:
        yield scratch


def _open(stage: str, key: Mapping[str, Any]) -> tuple[Scratch, Claims]:
    while True:
        scratch = Scratch(stage, key)
        scratch.marker.unlink(missing_ok=True)
        try:
            (scratch.path / "mains").mkdir(exist_ok=True)
            scratch.mains = Claims(scratch.path / "mains")
            scratch.mains.take(scratch.mains.token)
            return scratch, scratch.mains
        except (Gone, FileNotFoundError):  # another main process published it this very moment
            continue


def _join(scratch: Scratch, stage: str, out: Path, wait: float) -> Scratch | None:
    end = time.monotonic() + wait
    while not scratch.path.is_dir():
        if scratch.is_published(out):
            return None
        if time.monotonic() >= end:
            raise InputError(
                f"no main process opened {scratch.path} within {wait:.0f} s; start {stage} without RANK, or with "
                "RANK=0, with the same parameters and inputs, and then its other workers"
            )
        time.sleep(POLL)
    return scratch


def _files(folder: Path, names: Iterable[str]) -> list[os.stat_result]:
    """The files that are, or lie below, these names; not the temporary ones of killed processes."""
    roots = [folder / name for name in names]
    paths = [path for root in roots for path in (root.rglob("*") if root.is_dir() else [root])]
    return [path.stat() for path in paths if path.is_file() and not path.match(".*.tmp")]


def _linked(files: Sequence[os.stat_result]) -> bool:
    """Whether every file has another name elsewhere: in the output, or in DVC's cache."""
    return all(file.st_nlink > 1 for file in files)


def _in_lock(out: str, files: Sequence[os.stat_result]) -> bool:
    """Whether dvc.lock has an output of that path, number of files and size: one that was made again to compare."""
    lock = Path("dvc.lock")
    stages = read_yaml(lock).get("stages", {}) if lock.exists() else {}
    known = [one for stage in stages.values() for one in stage["outs"] if one["path"] == out]
    size = sum(file.st_size for file in files)
    return any((one.get("size"), one.get("nfiles", 1)) == (size, len(files)) for one in known)


def _away(folder: Path) -> None:
    """Rename the folder in one step, if it is there, and remove it, with what killed processes left beside it."""
    with suppress(FileNotFoundError):
        os.rename(folder, folder.with_name(f".{folder.name}.{os.getpid()}.tmp"))
    for left in folder.parent.glob(f".{folder.name}.*.tmp"):
        shutil.rmtree(left, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link, ignore=shutil.ignore_patterns(".*.tmp"))
    else:
        _link(source, target)


def _link(source: str | Path, target: str | Path) -> None:
    # A hard link costs nothing; it is impossible across file systems and on some network ones.
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def save_checkpoint(path: Path | str, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-able state into one safetensors file, complete or not at all."""
    # Cloned, because safetensors refuses tensors that share memory.
    copies = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()
    }
    atomic_write(path, save(copies, metadata={"state": json.dumps(state)}))


def load_checkpoint(path: Path | str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Return (tensors, state), or None if the file is absent or damaged: the work then starts over."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            names, state = file.keys(), json.loads(file.metadata()["state"])
            return ({name: file.get_tensor(name) for name in names}, state) if isinstance(state, dict) else None
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError, RecursionError):
        return None
