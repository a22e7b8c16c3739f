"""How a stage ends when something is wrong: one sentence for the user's mistake, a traceback for ours."""

import errno
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from src.parallel import is_main

_MACHINE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the file system is read-only; work in a writable folder",
    errno.EACCES: "permission is denied; make the path accessible",
}


class InputError(ValueError):
    """The user's mistake. The message is one sentence: what is wrong, and what to do next."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, from a scheduler or a launcher: it unwinds like Ctrl-C, so that what is finished is kept."""


def run_stage(main: Callable[[], None], shared: bool = False) -> None:
    """Run `main` and turn expected failures into one line on stderr and an exit code.

    shared: whether the processes of a launcher (torchrun, srun) divide the work of `main`; otherwise the first
    does it all and the others leave. Exits 2 on `InputError` and on a full, read-only or forbidden disk, 130 on
    Ctrl-C and 143 on SIGTERM. Any other exception is a defect of the program and keeps its traceback.
    """
    try:
        with _terminable():
            if shared or is_main():
                main()
    except InputError as error:
        _leave(f"error: {error}", 2)
    except OSError as error:
        if error.errno not in _MACHINE:
            raise
        _leave(f"error: cannot use {error.filename or 'a file'}: {_MACHINE[error.errno]} and run again", 2)
    except Terminated:
        _leave("terminated; run the same command to continue", 143)
    except KeyboardInterrupt:
        _leave("interrupted; run the same command to continue", 130)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM raises `Terminated` here, instead of ending the process where it stands."""
    if threading.current_thread() is not threading.main_thread():  # which alone may say what a signal does
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _leave(line: str, code: int) -> None:
    # The name of a file or a class within it is data: it breaks no line and says nothing to the terminal.
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    sys.stderr.write(shown + "\n")
    raise SystemExit(code)
