"""A report as Markdown: the same words and numbers as the page; drawings are told by their tables."""

import re
from collections.abc import Mapping, Sequence

from src.reporting.blocks import Block, Figure, Fold, Picture, Report, Side, Table
from src.reporting.findings import Finding
from src.reporting.wording import capitalised, code_spans

_BREAKS = re.compile(r"[ \t\r\n]+")
_SPECIAL = re.compile(r"([\\`*_\[\]|])")


def markdown(report: Report, pictures: Mapping[str, str]) -> str:
    """Return the Markdown. pictures: name of a picture to the address of its file; others are told in words."""
    parts = [f"# {_plain(report.title)}", f"**{_plain(report.headline)}**", *map(_paragraph, report.about)]
    if report.tiles:
        rows = [[tile.title, tile.value, tile.text] for tile in report.tiles]
        parts.append(_table(Table("In short", ["", "value", ""], rows)))
    for section in report.sections:
        parts += [f"## {_plain(section.title)}", *_blocks(section.blocks, pictures)]
    return "\n\n".join(parts) + "\n"


def _blocks(blocks: Sequence[Block], pictures: Mapping[str, str]) -> list[str]:
    return [part for block in blocks for part in _block(block, pictures)]


def _block(block: Block, pictures: Mapping[str, str]) -> list[str]:
    match block:
        case str():
            return [_paragraph(block)]
        case Table():
            return [_table(block)]
        case Figure():
            return [_plain(block.alt), _table(block.numbers)]
        case Picture():
            address = pictures.get(block.name)
            return [f"![{_plain(block.alt)}](<{address}>)" if address else _plain(block.alt)]
        case Finding():
            title = _plain(capitalised(block.title))
            return [f"- **{block.severity}: {title}.** {_plain(block.numbers)}. {_paragraph(block.advice)}"]
        case Fold():
            return [f"### {_plain(block.title)}", *_blocks(block.blocks, pictures)]
        case Side():
            return _blocks(block.blocks, pictures)


def _table(table: Table) -> str:
    """A caption and a Markdown table."""
    align = ["---", *("---" if table.words else "---:" for _ in table.columns[1:])]
    lines = [map(_plain, table.columns), align, *(map(_plain, row) for row in table.rows)]
    return f"*{_plain(table.caption)}*\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _paragraph(text: str) -> str:
    """Text in which nothing is Markdown or HTML, but code in backticks stays code."""
    words = "".join(f"`{piece}`" if code else _plain(piece) for piece, code in code_spans(text))
    return f"\\{words}" if words[:2] in ("+ ", "- ") else words  # no item of a list


def _plain(text: str) -> str:
    """Text on one line in which nothing is Markdown or HTML."""
    text = _BREAKS.sub(" ", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", text)
