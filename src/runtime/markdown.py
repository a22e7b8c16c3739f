"""Tables in Markdown, and pages that hold generated parts between marks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.runtime.errors import InputError
from src.runtime.files import atomic_write, read_bytes

MARKS = ("<!-- {}:begin -->\n", "<!-- {}:end -->")


def markdown_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return a Markdown table; a float has one decimal, None or an absent value is a dash."""
    lines = [list(columns), ["---"] * len(columns)]
    lines += [[_cell(row.get(column)) for column in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_between(page: Path, text: str, name: str) -> None:
    """Replace what stands between the page's marks of that name. Raises InputError if the marks are missing."""
    begin, end = (mark.format(name) for mark in MARKS)
    before, opened, rest = read_bytes(page).decode().partition(begin)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise InputError(f"{page} lacks the marks {begin.strip()} and {end}; restore them with git")
    atomic_write(page, f"{before}{begin}\n{text}\n{end}{after}".encode())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value).replace("\n", " ").replace("|", "\\|")
