"""The two ways in which a command ends early by intent: the user's mistake, and a scheduler's wish."""

from collections.abc import Iterable

LISTED = 10


class InputError(ValueError):
    """The user's mistake. The message is one sentence: what is wrong, and what to do next.

    every: all that the sentence lists the first of, for the file that `run_stage` writes and names if they are many.
    """

    def __init__(self, message: str, every: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.every = tuple(every)


class Terminated(KeyboardInterrupt):
    """SIGTERM, from a scheduler or a launcher: it unwinds like Ctrl-C, so that what is finished is kept."""


def listed(items: Iterable[str], most: int = LISTED) -> str:
    """The first items for a sentence, and how many more there are."""
    every = list(items)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
