"""The files of a report: the page, the Markdown, and the pictures that the Markdown shows."""

from pathlib import Path

from src.reporting.blocks import Report
from src.reporting.markdown import markdown
from src.reporting.page import page, pictures
from src.runtime.files import atomic_write


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write index.html, report.md and its sheets/ into the folder; returns the first two."""
    addresses = {}
    for picture in pictures(block for section in report.sections for block in section.blocks):
        addresses[picture.name] = f"sheets/{picture.name}.png"
        atomic_write(folder / addresses[picture.name], picture.path.read_bytes())
    html, text = folder / "index.html", folder / "report.md"
    atomic_write(text, markdown(report, addresses).encode())
    atomic_write(html, page(report).encode())
    return html, text
