"""Printed glyphs from the fonts that ship with matplotlib."""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique",
    "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    "cmr10", "cmss10", "cmtt10", "cmb10",
)  # fmt: skip
BOLD = tuple("Bol" in name or name == "cmb10" for name in FONTS)


@cache
def glyph_mask(character: str, font: int, size: int) -> np.ndarray:
    """One character of `FONTS[font]`, its box filling a (size, size) float mask in [0, 1], aspect kept."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    face = ImageFont.truetype(str(folder / f"{FONTS[font]}.ttf"), 4 * size)
    left, top, right, bottom = (int(edge) for edge in face.getbbox(character))
    canvas = Image.new("L", (right - left, bottom - top), 0)
    ImageDraw.Draw(canvas).text((-left, -top), character, fill=255, font=face)
    scale = size / max(canvas.size)
    width, height = (max(1, round(edge * scale)) for edge in canvas.size)
    box = Image.new("L", (size, size), 0)
    box.paste(canvas.resize((width, height), Image.Resampling.LANCZOS), ((size - width) // 2, (size - height) // 2))
    return np.asarray(box, np.float32) / 255
