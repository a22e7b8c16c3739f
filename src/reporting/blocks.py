"""What a report is made of, before it becomes a page or Markdown: both are written from the same blocks.

A paragraph is a str, and a finding of the diagnosis stands for itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from src.reporting.findings import Finding
from src.reporting.wording import percent, title

ArmRows = Sequence[tuple[str, Mapping[str, Any]]]  # (name, {arm: value})


@dataclass(frozen=True)
class Table:
    """Rows of text under columns; the first column heads its row. words: the other columns hold text, not numbers."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool = False

    @property
    def folded(self) -> "Fold":
        """The table as details that a reader opens by its caption."""
        return Fold(self.caption, [self])


@dataclass(frozen=True)
class Figure:
    """A drawing, what it shows in words, and its numbers."""

    title: str
    svg: Markup
    alt: str
    numbers: Table


@dataclass(frozen=True)
class Picture:
    """A tracked PNG. name: unique in the report; size: width and height in pixels."""

    name: str
    title: str
    alt: str
    path: Path
    size: tuple[int, int]


@dataclass(frozen=True)
class Fold:
    """Details that a reader opens."""

    title: str
    blocks: Sequence["Block"]


@dataclass(frozen=True)
class Side:
    """Blocks next to each other where there is room. narrow: four of them rather than two."""

    blocks: Sequence["Block"]
    narrow: bool = False


Block = str | Table | Figure | Picture | Finding | Fold | Side


@dataclass(frozen=True)
class Section:
    """A part of the report under a heading. name: its address in the page."""

    name: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Tile:
    """One number that a reader should see first. text: what it is compared with."""

    title: str
    value: str
    text: str


@dataclass(frozen=True)
class Report:
    """A whole report. headline: the main result in a sentence; about: what to know before believing it."""

    title: str
    headline: str
    about: Sequence[str]
    tiles: Sequence[Tile]
    sections: Sequence[Section]


def columns_of(arms: Iterable[str], first: str = "") -> list[str]:
    """A column for the names of rows, headed `first`, and one for each arm."""
    return [first, *map(title, arms)]


def by_arm(
    caption: str, arms: Sequence[str], rows: ArmRows, write: Callable[[Any], str] = percent, first: str = ""
) -> Table:
    """A table with a row for each name, a value of every arm in it; `first` heads the names."""
    cells = [[name, *(write(values.get(arm)) for arm in arms)] for name, values in rows]
    return Table(caption, columns_of(arms, first), cells)
