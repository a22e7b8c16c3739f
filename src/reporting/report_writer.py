"""A report as files: one HTML page that needs nothing else, the same in Markdown, and the pictures that this shows."""

import base64
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from src.reporting.blocks import Block, Fold, Picture, Report, Section, Side
from src.reporting.markdown_writer import markdown
from src.reporting.run_results import GENERATOR_SHEET
from src.reporting.wording import capitalised, code_spans
from src.runtime.files import atomic_write

TEMPLATES = Path(__file__).parent / "templates"
# Of all pictures together, before base64 makes them a third larger: the page stays below 5 MB.
PICTURES = 3_300_000


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write index.html, report.md and its sheets/ into the folder; returns the first two."""
    addresses = {}
    for picture in pictures(report.sections):
        addresses[picture.name] = f"sheets/{picture.name}.png"
        atomic_write(folder / addresses[picture.name], picture.path.read_bytes())
    html, text = folder / "index.html", folder / "report.md"
    atomic_write(text, markdown(report, addresses).encode())
    atomic_write(html, page(report).encode())
    return html, text


def page(report: Report) -> str:
    """Return the HTML, with style, drawings and pictures inside.

    Pictures that would make it too large are left out, and said to be.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"capitalised": capitalised, "code": code}
    css = Markup((TEMPLATES / "style.css").read_text())
    return environment.get_template("page.html").render(report=report, css=css, data=inlined(report))


def code(text: str) -> Markup:
    """Escaped text in which code in backticks is an element of that name."""
    pieces = code_spans(text)
    return Markup("").join(Markup("<code>{}</code>").format(piece) if code else escape(piece) for piece, code in pieces)


def inlined(report: Report) -> Mapping[str, str]:
    """Return each picture's address by its name, as data; without those that cannot be read or have no room.

    The generator's sheet, which says nothing of the run itself, is the first to go.
    """
    addresses, room = {}, PICTURES
    for picture in sorted(pictures(report.sections), key=lambda picture: picture.path.stem == GENERATOR_SHEET):
        content = compact(picture.path)
        if content is not None and len(content) <= room:
            room -= len(content)
            addresses[picture.name] = f"data:image/webp;base64,{base64.b64encode(content).decode()}"
    return addresses


def compact(path: Path) -> bytes | None:
    """Return a PNG's pixels as they are, in two thirds of its bytes; None if it is damaged."""
    content = io.BytesIO()
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.save(content, "WEBP", lossless=True)
    except (OSError, SyntaxError):
        return None
    return content.getvalue()


def pictures(blocks: Iterable[Block | Section]) -> Iterator[Picture]:
    """Yield every picture in the blocks, in the order of the page."""
    for block in blocks:
        if isinstance(block, Picture):
            yield block
        elif isinstance(block, Fold | Side | Section):
            yield from pictures(block.blocks)
