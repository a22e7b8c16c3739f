"""A work folder that survives interruption, keyed by everything its contents depend on.

DVC deletes a stage's outputs before it runs, so unfinished work lives under `.dvc/tmp/scratch` of the main
repository (`DVC_ROOT` also in queued experiments) and moves to the output when it is complete. It also stays there, as
hard links in `<stage>-<digest>.done`, until another stage begins: DVC hashes the output after the stage, for minutes if
it is large, and should it be killed then it deletes the output and runs the stage again.

Processes may share one (`shared`): the main one, RANK 0 or no launcher at all, opens and publishes it, the others join
it, work and leave, at any time and from any machine that sees the folder. One that is not shared has one main process:
a second with the same key, such as another experiment's in `dvc queue`, works in a folder beside it.
"""

import copy
import fcntl
import hashlib
import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from src.runtime.claims import Claims, Gone
from src.runtime.entry import tell
from src.runtime.errors import InputError
from src.runtime.files import atomic_write
from src.runtime.folders import all_linked, link_copy, put_away, remove, stats_of
from src.runtime.pipeline import code_of, read_lock
from src.runtime.processes import is_main

WAIT = 600.0  # seconds that a process waits for the main one, which may still be importing or reading
POLL = 0.5
_OCCUPIED: dict[tuple[int, int], int] = {}  # folders (device, inode) that this process works in, held open
PUBLISHED = "published.json"  # in a scratch that has become an output: the output's path, and the names of what did


class Scratch:
    """The folder of one stage under one key: the same key finds the same work again, another finds none."""

    def __init__(self, stage: str, key: Mapping[str, Any], make: bool = True, alone: bool = True) -> None:
        """key: all that the result depends on (parameters, input hashes), JSON-able; kept as `key.json` with the hashes
        of the stage's code.

        stage: its name in dvc.yaml, and after a dash what tells its scratch folders apart. make: whether the folder is
        to be there from now on. alone: whether other main processes are to keep out of it.
        """
        code = code_of(stage.partition("-")[0])
        text = json.dumps({**key, "code": code} if code else dict(key), sort_keys=True, allow_nan=False)
        root = Path(os.environ.get("DVC_ROOT") or Path.cwd())
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.path = root / ".dvc" / "tmp" / "scratch" / f"{stage}-{self.digest}"
        self.marker = self.path.with_name(f"{stage}.published")
        self.mains: Claims | None = None
        self.done = self.path.with_name(f"{self.path.name}.done")
        if make:
            unfinished = self.path.exists()
            self._look_back(stage)
            if unfinished:
                tell(f"{stage} takes up what an earlier run of the same parameters left unfinished")
            self.path.mkdir(parents=True, exist_ok=True)
            if alone and is_main():
                self.path = _unoccupied(self.path, stage)
            atomic_write(self.path / "key.json", text.encode())

    def part(self, name: str) -> "Scratch":
        """A folder inside, for work on the way; it goes when the whole is published."""
        inside = copy.copy(self)
        inside.path = self.path / name
        inside.path.mkdir(exist_ok=True)
        return inside

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
                link_copy(self.path / source, complete)
            else:
                complete.mkdir()
                for name in names:
                    link_copy(self.path / name, complete / name)
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
        if all_linked(stats_of(self.path, names)):  # copies would double the disk
            try:
                atomic_write(self.path / PUBLISHED, json.dumps({"out": out.as_posix(), "names": names}).encode())
                put_away(self.done)
                os.rename(self.path, self.done)
            except OSError:  # of several main processes another was faster, or the disk is full to the last byte
                pass
        put_away(self.path)

    def _look_back(self, stage: str) -> None:
        """Forget what other stages published, since DVC knows it by now; find this one's again if DVC does not."""
        for path in self.path.parent.glob("*.done"):
            if path.name[: -len(f"-{self.digest}.done")] != stage:
                put_away(path)
        try:
            note = json.loads((self.done / PUBLISHED).read_text())
            files = stats_of(self.done, note["names"])
            if not all_linked(files) and not _in_lock(note["out"], files) and not self.path.exists():
                os.rename(self.done, self.path)
                tell(f"{stage} was finished by a run that DVC did not see the end of; its work is there and is used")
        except (OSError, ValueError, TypeError, LookupError):
            pass
        put_away(self.done)


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
        scratch = Scratch(stage, key, alone=False)
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
            tell(f"{stage} is finished already; nothing is left to do", every=True)
            return None
        if time.monotonic() >= end:
            raise InputError(
                f"no main process opened {scratch.path} within {wait:.0f} s; start {stage} without RANK, or with "
                "RANK=0, with the same parameters and inputs, and then its other workers"
            )
        time.sleep(POLL)
    return scratch


def _unoccupied(path: Path, stage: str) -> Path:
    """`path`, or where another living process works in it, the first folder beside it where none does; it is there."""
    for number in itertools.count(2):
        if _occupy(path):
            return path
        if number == 2:
            tell(f"another process makes the same {stage} at this moment; this one works beside it")
        path = path.with_name(f"{path.name.partition('.')[0]}.{number}")
    raise AssertionError


def _occupy(path: Path) -> bool:
    """Whether the folder, made if need be, is this process's until it ends, or renames it; locks end with a process."""
    while True:
        path.mkdir(parents=True, exist_ok=True)
        try:
            folder = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # published by another this very moment
            continue
        held = os.fstat(folder).st_dev, os.fstat(folder).st_ino
        try:
            if held not in _OCCUPIED:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(folder)
            return False
        except OSError:  # a file system that locks no folders
            pass
        with suppress(FileNotFoundError):
            if held == (path.stat().st_dev, path.stat().st_ino):
                if _OCCUPIED.setdefault(held, folder) != folder:
                    os.close(folder)
                return True
        os.close(folder)  # of a folder that was put away between the two looks


def _in_lock(out: str, files: Sequence[os.stat_result]) -> bool:
    """Whether a stage in dvc.lock has outputs there of that number of files and size: made again to compare."""
    published = (len(files), sum(file.st_size for file in files))
    for stage in read_lock(Path("dvc.lock")).values():
        outs = [entry for entry in stage.get("outs", ()) if Path(entry["path"]).is_relative_to(out)]
        if published == (sum(entry.get("nfiles", 1) for entry in outs), sum(entry.get("size") or 0 for entry in outs)):
            return True
    return False
