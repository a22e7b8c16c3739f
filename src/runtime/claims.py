"""Who makes what, among any number of processes on any number of machines that see one folder.

A claim is a small file named after a piece of work. Its owner raises a counter in it for as long as it lives, so that a
watcher needs a clock of its own only, and it may be wrong (a lease, Gray & Cheriton 1989, kept by the heartbeat counter
of Aguilera, Chen & Toueg 1997). A claim saves work and decides nothing: where two processes make the same piece, as
they may when a machine was suspended, they must make the same bytes and put them in place whole.
"""

import json
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import Any

BEAT = 5.0  # seconds between two counts
PATIENCE = 60.0  # seconds without a count, after which the owner on another machine is taken for dead


class Gone(Exception):
    """The folder of the claims is no longer there: the work was finished and published, or thrown away."""


class Claims:
    """The claims of one process in a folder. A context: inside it the claims are kept alive, after it they are free."""

    def __init__(self, folder: Path, patience: float | None = None) -> None:
        """folder: exists. patience: seconds of the watcher's own clock; None: PATIENCE."""
        self.folder, self.patience = folder, PATIENCE if patience is None else patience
        self.token = uuid.uuid4().hex
        self._me = {"host": here(), "pid": os.getpid(), "start": started(os.getpid()), "token": self.token}
        self._beats = 0
        self._held: set[str] = set()
        self._seen: dict[str, tuple[bytes, float]] = {}  # others' claims, and since when they have not changed
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._heart = threading.Thread(target=self._live, name="claims", daemon=True)

    def __enter__(self) -> "Claims":
        self._heart.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        for name in sorted(self._held):
            self.release(name)

    def take(self, name: str) -> bool:
        """Whether the piece is this process's from now on: nobody had claimed it, or nobody who lives. Raises Gone."""
        path = self.folder / name
        if self._create(name):
            return True
        content = _read(path)
        if content is None or not self._void(name, content):
            return False
        # Of several takers one succeeds in moving the void claim away; the others find nothing, or a new claim.
        aside = self.folder / f".{name}.{self.token}.void"
        try:
            os.rename(path, aside)
            if _read(aside) != content:  # somebody was faster, and this is the new claim
                os.rename(aside, path)
                return False
            os.unlink(aside)
        except FileNotFoundError:
            return False
        return self._create(name)

    def release(self, name: str) -> None:
        """Let go of a piece, unless another process took it over meanwhile."""
        with self._lock:
            self._held.discard(name)
            if self._is_mine(name):
                (self.folder / name).unlink(missing_ok=True)

    def others(self) -> bool:
        """Whether another living process has a claim here. May watch for the length of the patience."""
        first: dict[str, bytes] = {}
        while True:
            waiting = False
            for name in self._foreign():
                content = _read(self.folder / name)
                if content is None or self._void(name, content):
                    continue
                # A process of this machine was just seen alive; one of another must count while it is watched.
                if _owner(content).get("host") == here() or first.setdefault(name, content) != content:
                    return True
                waiting = True
            if not waiting:
                return False
            time.sleep(min(BEAT, self.patience) / 5)

    def _foreign(self) -> list[str]:
        try:
            names = [name for name in os.listdir(self.folder) if not name.startswith(".")]  # temporary ones
        except FileNotFoundError:
            return []
        return [name for name in names if name not in self._held]

    def _create(self, name: str) -> bool:
        try:
            file = os.open(self.folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        except FileNotFoundError:
            raise Gone(self.folder) from None
        with self._lock:
            self._held.add(name)
            try:
                os.write(file, self._content())
            except OSError:  # a full disk; a claim that names nobody would be respected for the patience
                (self.folder / name).unlink(missing_ok=True)
                raise
            finally:
                os.close(file)
        return True

    def _content(self) -> bytes:
        return json.dumps({**self._me, "beats": self._beats}).encode()

    def _is_mine(self, name: str) -> bool:
        return _owner(_read(self.folder / name) or b"").get("token") == self.token

    def _void(self, name: str, content: bytes) -> bool:
        """Whether the owner is dead: gone from this machine, or silent for the patience."""
        owner = _owner(content)
        if owner.get("host") == here() and not lives(owner.get("pid"), owner.get("start")):
            return True
        now = time.monotonic()
        if name not in self._seen or self._seen[name][0] != content:
            self._seen[name] = content, now
        return now - self._seen[name][1] >= self.patience

    def _live(self) -> None:
        while not self._end.wait(BEAT):
            self.beat()

    def beat(self) -> None:
        """Raise the counter in every claim that is still this process's, and forget the others."""
        with self._lock:
            self._beats += 1
            for name in sorted(self._held):
                if not self._is_mine(name):  # taken over while this machine was suspended, or thrown away
                    self._held.discard(name)
                    continue
                temporary = self.folder / f".{name}.{self.token}.tmp"
                try:
                    temporary.write_bytes(self._content())
                    os.replace(temporary, self.folder / name)
                except OSError:  # such as a full disk; if it lasts, the claim becomes void, which costs work alone
                    continue


def here() -> str:
    """This machine as long as it runs; a container, whose process numbers are its own, counts as a machine."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return socket.gethostname()


def lives(pid: Any, start: Any) -> bool:
    """Whether this machine's process of this number, which began then, lives; the number may be another's by now."""
    ticks = started(pid)
    return ticks is not None and (ticks == start or not ticks or not start)


def started(pid: Any) -> str | None:
    """When a process of this machine began, in ticks that no change of a clock moves.

    None if it does not live, empty if the system does not tell: then the number alone speaks for it.
    """
    if not isinstance(pid, int) or pid < 1:
        return None
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except (ProcessLookupError, OverflowError):
        return None
    try:
        # The name, in brackets, may hold anything. After it: the state first, the start twentieth.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return None if fields[0] in "ZX" else fields[19]  # a zombie is dead, though nobody has asked for its exit code


def _read(path: Path) -> bytes | None:
    """The claim's content; None if there is none. What cannot be read is empty: a claim whose owner nobody knows."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        return b""


def _owner(content: bytes) -> dict[str, Any]:
    try:
        owner = json.loads(content)
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}
