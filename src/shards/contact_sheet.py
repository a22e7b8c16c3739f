"""Contact sheets: many images as one PNG, for people who would rather look than read."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from src.runtime.files import atomic_write
from src.shards.pixels import centre_square
from src.shards.store import Shards

LONGEST = 60  # letters of a label
ROW, GAP = "Row height", 2  # of a sheet: the PNG's text, and the pixels between images
SHEET_ROWS, SHEET_PIXELS = 20, 96  # of a sheet by class: so many classes, and an image's edge at most


def contact_sheet(
    path: Path | str, images: np.ndarray, columns: int, scale: int = 2, row_labels: Sequence[str] | None = None
) -> None:
    """Write images in rows of `columns`, each pixel enlarged `scale` times, as a PNG of deterministic bytes.

    images: uint8 (N, H, W, 3); row_labels: one text per row, drawn left of it. ValueError if they do not fit. The
    PNG's text ROW tells a row's height in pixels, for `first_rows`.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or len(images) == 0:
        raise ValueError(f"expected uint8 (N, H, W, 3), got {images.dtype} {images.shape}")
    rows = -(-len(images) // columns)
    if row_labels is not None and len(row_labels) != rows:
        raise ValueError(f"{len(row_labels)} labels for {rows} rows")
    # A name is data: of any length, and with line breaks, which the font cannot measure.
    words = [" ".join(label.split()) for label in row_labels or ()]
    labels = [label if len(label) <= LONGEST else f"{label[: LONGEST - 4]} ..." for label in words]
    font = ImageFont.load_default(11)
    left = max((int(font.getlength(label)) + 3 * GAP for label in labels), default=GAP)
    height, width = images.shape[1] * scale + GAP, images.shape[2] * scale + GAP
    sheet = Image.new("RGB", (left + columns * width, GAP + rows * height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        tile = Image.fromarray(image.repeat(scale, axis=0).repeat(scale, axis=1))
        sheet.paste(tile, (left + column * width, GAP + row * height))
    for row, label in enumerate(labels):
        draw.text((GAP, GAP + row * height + height // 2), label, fill="black", font=font, anchor="lm")
    atomic_write(path, _png(sheet, ROW, str(height)))


def first_rows(sheet: bytes, rows: int, title: str) -> bytes:
    """The top of a contact sheet, with the PNG's text Title. ValueError for an image that is no contact sheet."""
    with Image.open(io.BytesIO(sheet), formats=["PNG"]) as image:
        if ROW not in image.info:
            raise ValueError(f"a contact sheet tells its '{ROW}'")
        width, height = image.size
        top = image.crop((0, 0, width, min(height, GAP + rows * int(image.info[ROW]))))
    return _png(top, "Title", title)


def _png(image: Image.Image, name: str, text: str) -> bytes:
    """The image as a PNG with one text under its name."""
    data, note = io.BytesIO(), PngInfo()
    note.add_text(name, text)
    image.save(data, "PNG", optimize=True, pnginfo=note)
    return data.getvalue()


def sheet_by_class(
    path: Path | str, shards: Shards, class_names: Sequence[str], real_labels: np.ndarray, columns: int = 12
) -> None:
    """A contact sheet of the first `columns` images of every class, one row per class that has any, the rarest first.

    real_labels: of the real training images, whose counts decide which class is rare. Of many classes SHEET_ROWS evenly
    spaced ones are shown, and large images no larger than SHEET_PIXELS.
    """
    counts = np.bincount(real_labels, minlength=len(class_names))
    present = [k for k in np.argsort(counts, kind="stable") if (shards.labels == k).any()]
    spaced = np.unique(np.linspace(0, len(present) - 1, min(len(present), SHEET_ROWS)).round().astype(int))
    classes = [present[i] for i in spaced]
    rows = [np.flatnonzero(shards.labels == k)[:columns] for k in classes]
    edge = min(*shards.image(0).shape[:2], SHEET_PIXELS)
    blank = np.full((edge, edge, 3), 255, np.uint8)
    images = [
        centre_square(shards.image(int(row[i])), edge) if i < len(row) else blank
        for row in rows
        for i in range(columns)
    ]
    scale = 2 if edge * 2 <= SHEET_PIXELS else 1
    contact_sheet(path, np.stack(images), columns, scale, row_labels=[class_names[k] for k in classes])
