"""Whose code made a study's rows: today's, earlier code that gives the default run the same bytes, or older code.

Rows of the first two stand together, and the page says that the code has changed; older ones never stand among them.
"""

from collections.abc import Collection, Hashable, Mapping
from typing import Any, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
OLDER = " (older)"  # after the commits in a study's CSV
CHANGED = " (code changed since)"


PROTOCOL = 2
"""What docs/results.md calls today's way to split, to budget and to measure; rows without a number are of 1."""


class Origin(NamedTuple):
    """commits: short hashes of those whose code made the rows shown, under a protocol. older: whether that is not
    today's code; changed: whether that code was another, of which the default run has the same outputs."""

    commits: tuple[str, ...] = ()
    older: bool = False
    protocol: int = PROTOCOL
    changed: bool = False

    @property
    def label(self) -> str:
        """The commits for a row of a CSV, marked where they are of older code."""
        return ", ".join(self.commits) + (OLDER if self.older else CHANGED * self.changed)

    @property
    def sentence(self) -> str:
        """What a page says of its rows; nothing where nobody knows."""
        if not self.commits:
            return ""
        commits = f"commit{'s' * (len(self.commits) > 1)} {', '.join(self.commits)}"
        under = f"under protocol {self.protocol}"
        if self.older:
            return f"Rows of older code, {under}: {commits}, not current."
        if self.changed:
            return f"Made by the code of {commits}, {under}; it has changed since, the default run's outputs have not."
        return f"Made by the code of {commits}, {under}."


UNKNOWN = Origin()


def of_one_code(
    rows: Mapping[K, Mapping[str, Any]], code: str, same: Collection[str] = ()
) -> tuple[dict[K, Mapping[str, Any]], Origin]:
    """The rows of experiments.jsonl that were made by the code of that digest, or else by the code of the most.

    same: digests of code that stands for it, for the default run has the same outputs.
    """
    by_code: dict[str, dict[K, Mapping[str, Any]]] = {}
    for key, row in rows.items():
        by_code.setdefault(code if row["code"] in same else row["code"], {})[key] = row
    shown = by_code.get(code) or max(by_code.values(), key=len, default={})
    commits = sorted({row["commit"][:7] for row in shown.values()})
    protocol = min((row.get("protocol", 1) for row in shown.values()), default=PROTOCOL)
    older = bool(shown) and code not in by_code
    changed = not older and any(row["code"] != code for row in shown.values())
    return shown, Origin(tuple(commits), older, protocol, changed)
