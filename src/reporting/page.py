"""A report as one HTML file that needs nothing else: style, drawings and pictures are inside."""

import base64
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from src.reporting.blocks import Block, Fold, Picture, Report, Side
from src.reporting.run_results import GENERATOR_SHEET

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
    """Return each picture's address by its name, as data; without those that cannot be read or have no room.

    The generator's sheet, which says nothing of the run itself, is the first to go.
    """
    found, room = {}, PICTURES
    shown = pictures(block for section in report.sections for block in section.blocks)
    for picture in sorted(shown, key=lambda one: one.path.stem == GENERATOR_SHEET):
        content = compact(picture.path)
        if content is not None and len(content) <= room:
            room -= len(content)
            found[picture.name] = f"data:image/webp;base64,{base64.b64encode(content).decode()}"
    return found


def compact(path: Path) -> bytes | None:
    """Return a PNG's pixels as they are, in two thirds of its bytes; None if it is damaged."""
    content = io.BytesIO()
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.save(content, "WEBP", lossless=True)
    except (OSError, SyntaxError):
        return None
    return content.getvalue()


def pictures(blocks: Iterable[Block]) -> Iterable[Picture]:
    """Yield every picture, in the order of the page."""
    for block in blocks:
        if isinstance(block, Picture):
            yield block
        elif isinstance(block, Fold | Side):
            yield from pictures(block.blocks)
