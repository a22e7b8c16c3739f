"""How a stage ends when something is wrong: one sentence for the user's mistake, a traceback for ours."""

import errno
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from src.runtime.errors import LISTED, InputError, Terminated
from src.runtime.files import atomic_write
from src.runtime.processes import is_main

_MACHINE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the file system is read-only; work in a writable folder",
    errno.EACCES: "permission is denied; make the path accessible",
}
PROBLEMS = "problems.txt"
_NO_MEMORY = ("can't allocate memory", "out of memory")


def run_stage(main: Callable[[], None], shared: bool = False, arguments: bool = True) -> None:
    """Run `main` and turn expected failures into one line on stderr and an exit code.

    shared: whether the processes of a launcher (torchrun, srun) divide the work of `main`; otherwise the first
    does it all and the others leave. arguments: whether the command line may have any. Exits 2 on `InputError`, on a
    full, read-only or forbidden disk and on too little memory, 130 on Ctrl-C and 143 on SIGTERM. Any other exception
    is a defect of the program and keeps its traceback.
    """
    if not arguments and len(sys.argv) > 1:
        _leave(f"error: this command takes no arguments, such as {sys.argv[1]}; settings stand in params.yaml", 2)
    try:
        with _terminable():
            if shared or is_main():
                main()
    except InputError as error:
        _leave(f"error: {error}{_in_full(error.every)}", 2)
    except OSError as error:
        if error.errno not in _MACHINE:
            raise
        _leave(f"error: cannot use {error.filename or 'a file'}: {_MACHINE[error.errno]} and run again", 2)
    except (MemoryError, RuntimeError) as error:  # the latter is torch's
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in _NO_MEMORY):
            raise
        _leave("error: there is not enough memory; lower the batch or the image size and run again", 2)
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


def tell(sentence: str, every: bool = False) -> None:
    """Say what the user should know, from the first process or from `every` one, and go on."""
    if every or is_main():
        sys.stderr.write(_printable(f"note: {sentence}") + "\n")


def _in_full(every: Sequence[str]) -> str:
    """Where all items are that a sentence cannot hold; nothing if it does, or no file can be written."""
    if len(every) <= LISTED:
        return ""
    try:
        atomic_write(PROBLEMS, "".join(f"{_printable(item)}\n" for item in every).encode())
    except OSError:
        return ""
    return f" (all {len(every)} are in {PROBLEMS})"


def _leave(line: str, code: int) -> None:
    sys.stderr.write(_printable(line) + "\n")
    raise SystemExit(code)


def _printable(text: str) -> str:
    """The name of a file or a class within it is data: it breaks no line and says nothing to the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
