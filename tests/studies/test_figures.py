"""What a figure of a study shows."""

import io

import numpy as np
from PIL import Image

from src.studies.figures import png, subplots


def test_a_long_caption_is_broken_and_not_cut_off_at_the_edges():
    canvas, _ = subplots(1, 4, 3)
    with Image.open(io.BytesIO(png(canvas, "caption " * 40))) as image:
        pixels = np.array(image.convert("L"))
    assert pixels[-60:].min() < 128  # the caption is there
    assert pixels[:, [0, -1]].min() > 250  # and ends before the edge
