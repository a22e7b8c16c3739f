"""Whose code made a study's rows: today's, or older code, whose rows are shown as such and never among today's."""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
OLDER = " (older)"  # after the commits in a study's CSV


PROTOCOL = 2
"""What docs/results.md calls today's way to split, to budget and to measure; rows without a number are of 1."""


class Origin(NamedTuple):
    """commits: short hashes of those whose code made the rows shown, under a protocol. older: whether that is not
    today's code."""

    commits: tuple[str, ...] = ()
    older: bool = False
    protocol: int = PROTOCOL

    @property
    def label(self) -> str:
        """The commits for a row of a CSV, marked where they are of older code."""
        return ", ".join(self.commits) + OLDER * self.older

    @property
    def sentence(self) -> str:
        """What a page says of its rows; nothing where nobody knows."""
        if not self.commits:
            return ""
        commits = f"commit{'s' * (len(self.commits) > 1)} {', '.join(self.commits)}"
        under = f"under protocol {self.protocol}"
        if self.older:
            return f"Rows of older code, {under}: {commits}, not current."
        return f"Made by the code of {commits}, {under}."


UNKNOWN = Origin()


def of_one_code(rows: Mapping[K, Mapping[str, Any]], code: str) -> tuple[dict[K, Mapping[str, Any]], Origin]:
    """The rows of experiments.jsonl that were made by the code of that digest, or else by the code of the most."""
    by_code: dict[str, dict[K, Mapping[str, Any]]] = {}
    for key, row in rows.items():
        by_code.setdefault(row["code"], {})[key] = row
    shown = by_code.get(code) or max(by_code.values(), key=len, default={})
    commits = sorted({row["commit"][:7] for row in shown.values()})
    protocol = min((row.get("protocol", 1) for row in shown.values()), default=PROTOCOL)
    return shown, Origin(tuple(commits), bool(shown) and code not in by_code, protocol)
