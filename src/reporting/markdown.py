"""A report as Markdown: the same words and numbers as the page; drawings are told by their tables."""

import re
from collections.abc import Mapping, Sequence

from src.reporting.blocks import Advice, Block, Figure, Fold, Picture, Report, Side, Table, Text

_BREAKS = re.compile(r"[ \t\r\n]+")
_SPECIAL = re.compile(r"([\\`*_\[\]|])")


def markdown(report: Report, pictures: Mapping[str, str]) -> str:
    """Return the Markdown. pictures: name of a picture to the address of its file; others are told in words."""
    parts = [f"# {plain(report.title)}", f"**{plain(report.headline)}**", *map(said, report.about)]
    if report.tiles:
        rows = [[tile.title, tile.value, tile.text] for tile in report.tiles]
        parts.append(table(Table("In short", ["", "value", ""], rows)))
    for section in report.sections:
        parts.append(f"## {plain(section.title)}")
        parts += [part for block in section.blocks for part in _block(block, pictures)]
    return "\n\n".join(parts) + "\n"


def said(words: str) -> str:
    """Text in which nothing is Markdown or HTML, but code in backticks pairs stays code."""
    pieces = words.split("`")
    if len(pieces) % 2 == 0:
        return plain(words)
    return "".join(f"`{piece}`" if k % 2 else plain(piece) for k, piece in enumerate(pieces))


def table(block: Table) -> str:
    """A caption and a Markdown table."""
    align = ["---", *("---" if block.words else "---:" for _ in block.columns[1:])]
    lines = [[plain(cell) for cell in block.columns], align, *([plain(cell) for cell in row] for row in block.rows)]
    return f"*{plain(block.caption)}*\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _block(block: Block, pictures: Mapping[str, str]) -> Sequence[str]:
    match block:
        case Text():
            return [said(block.text)]
        case Table():
            return [table(block)]
        case Figure():
            return [plain(block.alt), table(block.numbers)]
        case Picture():
            address = pictures.get(block.name)
            return [f"![{plain(block.alt)}](<{address}>)" if address else plain(block.alt)]
        case Advice():
            return [f"- **{block.severity}: {plain(block.title)}.** {plain(block.numbers)}. {said(block.advice)}"]
        case Fold():
            return [f"### {plain(block.title)}", *(part for inner in block.blocks for part in _block(inner, pictures))]
        case Side():
            return [part for inner in block.blocks for part in _block(inner, pictures)]


def plain(words: str) -> str:
    """Text on one line in which nothing is Markdown or HTML."""
    words = _BREAKS.sub(" ", words).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", words)
