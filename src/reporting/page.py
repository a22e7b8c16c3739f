"""A report as one HTML file that needs nothing else: style, drawings and pictures are inside."""

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from src.reporting.blocks import Block, Fold, Picture, Report, Side

TEMPLATES = Path(__file__).parent / "templates"
# Of all pictures together, before base64 makes them a third larger: the page stays below 5 MB.
PICTURES = 3_300_000


def page(report: Report) -> str:
    """Return the HTML. Pictures that would make it too large are left out, and said to be."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = code
    css = Markup((TEMPLATES / "style.css").read_text())
    return environment.get_template("page.html").render(report=report, css=css, data=inlined(report))


def code(words: str) -> Markup:
    """Escaped text in which what stands between backticks is code."""
    pieces = words.split("`")
    if len(pieces) % 2 == 0:
        return escape(words)
    return Markup("").join(Markup("<code>{}</code>").format(p) if k % 2 else escape(p) for k, p in enumerate(pieces))


def inlined(report: Report) -> Mapping[str, str]:
    """Return each picture's address by its name, as data; without those for which there is no room."""
    found, room = {}, PICTURES
    for picture in pictures(block for section in report.sections for block in section.blocks):
        content = picture.path.read_bytes()
        if len(content) <= room:
            room -= len(content)
            found[picture.name] = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return found


def pictures(blocks: Iterable[Block]) -> Iterable[Picture]:
    """Yield every picture, in the order of the page."""
    for block in blocks:
        if isinstance(block, Picture):
            yield block
        elif isinstance(block, Fold | Side):
            yield from pictures(block.blocks)
