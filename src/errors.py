"""How a stage ends when something is wrong: one sentence for the user's mistake, a traceback for ours."""

import errno
import sys
from collections.abc import Callable

from src.parallel import is_main

_MACHINE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the file system is read-only; work in a writable folder",
    errno.EACCES: "permission is denied; make the path accessible",
}


class InputError(ValueError):
    """The user's mistake. The message is one sentence: what is wrong, and what to do next."""


def run_stage(main: Callable[[], None], shared: bool = False) -> None:
    """Run `main` and turn expected failures into one line on stderr and an exit code.

    shared: whether the processes of a launcher (torchrun, srun) divide the work of `main`; otherwise the first
    does it all and the others leave. Exits 2 on `InputError` and on a full, read-only or forbidden disk, and 130
    on Ctrl-C. Any other exception is a defect of the program and keeps its traceback.
    """
    if not (shared or is_main()):
        return
    try:
        main()
    except InputError as error:
        _leave(f"error: {error}", 2)
    except OSError as error:
        if error.errno not in _MACHINE:
            raise
        _leave(f"error: cannot use {error.filename or 'a file'}: {_MACHINE[error.errno]} and run again", 2)
    except KeyboardInterrupt:
        _leave("interrupted; run the same command to continue", 130)


def _leave(line: str, code: int) -> None:
    sys.stderr.write(line + "\n")
    raise SystemExit(code)
