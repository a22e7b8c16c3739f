"""Faults that a process brings upon itself: it dies at a chosen point, or disk and clock turn against it.

Every change to the file system below the working directory passes through a few functions of Python, which are wrapped
here. A point is one such call, named by what it does to which path and how often it has done so: the same in every run.
Killed before a call, a process leaves what all calls until then have written; what a file is given after it was opened
is seen by dying before it is renamed, an empty one by dying right after the opening.
"""

import builtins
import errno
import io
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOUR = 3600.0
_OWN = re.compile(
    r"(?<=\.)\w+(?=\.tmp\b)|\b[0-9a-f]{32}\b"
)  # what differs between two processes, in their files' names
_BEAT = re.compile(r"/(claims|mains)/\.")  # a sign of life, which comes by the clock and not by the work


def install(fault: dict[str, Any]) -> None:
    """Wrap this process's calls. fault: `kind`, a name in KINDS, and what that takes; empty for none."""
    if fault:
        settings = dict(fault)
        KINDS[settings.pop("kind")](**settings)


def record(to: str) -> None:
    """Write the name of every point that is passed into the file `to`, one a line."""
    out = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    _watch(lambda name: os.write(out, f"{name}\n".encode()))


def kill(point: str) -> None:
    """Die of SIGKILL at the point."""
    _watch(lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == point else None)


def hold(pattern: str, to: str) -> None:
    """At the first point that the pattern fits, write this process's number into `to` and wait until that is gone."""
    once = [True]

    def wait(name: str) -> None:
        if once and re.match(pattern, name):
            once.clear()
            Path(f"{to}.part").write_text(str(os.getpid()))
            os.rename(f"{to}.part", to)
            while os.path.exists(to):
                time.sleep(0.01)

    _watch(wait)


def full(room: int) -> None:
    """Let `room` more bytes be written into files; then the disk is full."""
    left = [room]

    class Limited(io.FileIO):
        def write(self, data: Any) -> int:
            size = memoryview(data).nbytes
            if size > left[0]:
                written = super().write(memoryview(data).cast("B")[: left[0]]) if left[0] else 0
                left[0] -= written
                if not written:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return written
            left[0] -= size
            return super().write(data)

    real = io.open

    def limited(file: Any, mode: str = "r", buffering: int = -1, *more: Any, **named: Any) -> Any:
        if not _below_here(file) or not _writes(mode) or "+" in mode:
            return real(file, mode, buffering, *more, **named)
        binary = io.BufferedWriter(Limited(file, mode.replace("b", "").replace("t", "")))
        return binary if "b" in mode else io.TextIOWrapper(binary, *more, **named)

    builtins.open = io.open = limited  # type: ignore[assignment]


def refuse(folder: str, code: int) -> None:
    """Let every change below `folder` fail with the error `code`, as on a read-only or a forbidden file system."""
    place = os.path.abspath(folder)

    def fail(name: str) -> None:
        verb, path = name.split(" #")[0].split(" ", 1)
        if verb != "opened" and f"{os.path.abspath(path)}/".startswith(f"{place}/"):
            raise OSError(code, os.strerror(code), path)

    _watch(fail)


def clock(seed: int) -> None:
    """Let the time of day jump by hours, back and forth, at every look at it."""
    draw, seconds, nanoseconds = random.Random(seed), time.time, time.time_ns
    time.time = lambda: seconds() + draw.uniform(-9, 9) * HOUR
    time.time_ns = lambda: nanoseconds() + int(draw.uniform(-9, 9) * HOUR * 1e9)


KINDS: dict[str, Callable[..., None]] = {
    "record": record, "kill": kill, "hold": hold, "full": full, "refuse": refuse, "clock": clock
}  # fmt: skip


def _watch(reached: Callable[[str], object]) -> None:
    """Call `reached` with a point's name before each call that changes something, and after each opening."""
    seen: Counter[str] = Counter()
    within = threading.local()  # a call may be made of others, as os.open is part of open

    def point(verb: str, path: str) -> None:
        if not _below_here(path):
            return
        name = f"{verb} {_OWN.sub('OWN', os.path.relpath(path))}"
        if not _BEAT.search(name):
            seen[name] += 1
            reached(f"{name} #{seen[name]}")

    def wrap(module: Any, name: str, verb: str, path_of: Callable[..., str | None], then: str = "") -> None:
        real = getattr(module, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            path = None if getattr(within, "busy", False) else path_of(*arguments, **named)
            if path is None:
                return real(*arguments, **named)
            within.busy = True
            try:
                point(verb, path)
                result = real(*arguments, **named)
                if then:
                    point(then, path)
                return result
            finally:
                within.busy = False

        setattr(module, name, wrapped)

    for module in (io, builtins):
        wrap(module, "open", "open", lambda file, mode="r", *_, **__: _path(file) if _writes(mode) else None, "opened")
    wrap(os, "open", "open", lambda file, flags, *_, **__: _path(file) if flags & os.O_CREAT else None, "opened")
    wrap(os, "mkdir", "mkdir", lambda path, *_, **__: None if os.path.isdir(path) else _path(path))
    for name in ("replace", "rename", "link"):
        wrap(os, name, name, lambda source, target, *_, **__: _path(target))
    for name in ("unlink", "remove", "rmdir"):
        wrap(os, name, name, lambda path, *_, dir_fd=None, **__: _path(path, dir_fd))


def _writes(mode: str) -> bool:
    return any(letter in mode for letter in "wax+")


def _path(file: Any, folder: int | None = None) -> str | None:
    if isinstance(file, int):
        return None
    above = "" if folder is None else os.readlink(f"/proc/self/fd/{folder}")
    return os.path.join(above, os.fsdecode(file))


def _below_here(file: Any) -> bool:
    return not isinstance(file, int) and os.path.abspath(os.fsdecode(file)).startswith(f"{os.getcwd()}/")
