"""What a report is made of, before it becomes a page or Markdown: both are written from the same blocks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from markupsafe import Markup

from src.reporting.wording import percent, title


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Table:
    """Rows of text under columns; the first column heads its row. words: the other columns hold text, not numbers."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool = False


@dataclass(frozen=True)
class Figure:
    """A drawing, what it shows in words, and its numbers."""

    kind: ClassVar[str] = "figure"
    title: str
    svg: Markup
    alt: str
    numbers: Table


@dataclass(frozen=True)
class Picture:
    """A tracked PNG. name: unique in the report; size: width and height in pixels."""

    kind: ClassVar[str] = "picture"
    name: str
    title: str
    alt: str
    path: Path
    size: tuple[int, int]


@dataclass(frozen=True)
class Advice:
    """One finding of the diagnosis: how grave, the numbers that led to it, and what to do."""

    kind: ClassVar[str] = "advice"
    severity: str
    title: str
    numbers: str
    advice: str


@dataclass(frozen=True)
class Fold:
    """Details that a reader opens."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: Sequence["Block"]


@dataclass(frozen=True)
class Side:
    """Blocks next to each other where there is room. narrow: four of them rather than two."""

    kind: ClassVar[str] = "side"
    blocks: Sequence["Block"]
    narrow: bool = False


Block = Text | Table | Figure | Picture | Advice | Fold | Side


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
    sections: Sequence[Section] = field(default_factory=tuple)


def columns_of(arms: Iterable[str], first: str = "") -> list[str]:
    """A column for the names of rows, headed `first`, and one for each arm."""
    return [first, *map(title, arms)]


def by_arm(
    caption: str,
    arms: Sequence[str],
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    write: Callable[[Any], str] = percent,
    first: str = "",
) -> Table:
    """A row for each name with a value of every arm. rows: (name, {arm: value})."""
    cells = [[name, *(write(values.get(arm)) for arm in arms)] for name, values in rows]
    return Table(caption, columns_of(arms, first), cells)


def folded(table: Table) -> Fold:
    """A table that a reader opens by its caption."""
    return Fold(table.caption, [table])
