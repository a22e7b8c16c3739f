"""Contact sheets: repeatable bytes, a row per class, small whatever the data."""

import io

import numpy as np
import pytest
from PIL import Image

from src.shards.contact_sheet import contact_sheet, first_rows, sheet_by_class
from src.shards.store import Shards, write_all

IMAGES = np.random.default_rng(0).integers(256, size=(5, 8, 8, 3), dtype=np.uint8)


def test_a_sheet_shows_every_image_enlarged_and_has_repeatable_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        contact_sheet(tmp_path / name, IMAGES, columns=3)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    sheet = np.array(Image.open(tmp_path / "a.png"))
    assert sheet.shape == (2 + 2 * 18, 2 + 3 * 18, 3)
    assert np.array_equal(sheet[20:36:2, 20:36:2], IMAGES[4])
    assert (sheet[20:, 38:] == 255).all()


def test_row_labels_stand_left_of_the_images(tmp_path):
    contact_sheet(tmp_path / "a.png", IMAGES, columns=3, row_labels=["zero", "one"])
    sheet = np.array(Image.open(tmp_path / "a.png"))
    left = sheet.shape[1] - 3 * 18
    assert left > 10 and (sheet[:18, 2:left] < 128).any() and (sheet[20:, 2:left] < 128).any()
    with pytest.raises(ValueError, match="1 labels for 2 rows"):
        contact_sheet(tmp_path / "b.png", IMAGES, columns=3, row_labels=["zero"])


def test_long_labels_are_cut_and_stay_different(tmp_path):
    for name, label in (("a.png", "x" * 40), ("b.png", "x" * 200), ("c.png", "y" * 200)):
        contact_sheet(tmp_path / name, IMAGES, columns=3, row_labels=[label, "one\ntwo"])
    short, *long = (np.array(Image.open(tmp_path / name)) for name in ("a.png", "b.png", "c.png"))
    assert short.shape[1] < long[0].shape[1] < 2 * short.shape[1] and not np.array_equal(*long)


def test_a_sheet_by_class_stays_small_whatever_the_data(tmp_path):
    """Of many classes some are shown, the rarest first and the most frequent last; large images are shrunk."""
    images = [(np.full((200, 200, 3), k % 255, np.uint8), {"label": k}) for k in range(60)]
    write_all(tmp_path / "shards", images)
    real = np.repeat(np.arange(60), range(1, 61))
    names = [f"class {k}" for k in range(60)]
    sheet_by_class(tmp_path / "sheet.png", Shards(tmp_path / "shards"), names, 59 - real, columns=2)
    sheet = np.array(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[0] == 2 + 20 * 98 and sheet.shape[1] < 2 * 98 + 100
    first = sheet.shape[1] - 2 * 98 + 50
    assert sheet[50, first].tolist() == [59] * 3 and sheet[-50, first].tolist() == [0] * 3
    assert (sheet[:, first + 98] == 255).all()  # one image a class, then blank


def test_the_first_rows_of_a_sheet_are_whole_rows(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    for name, count in (("all", 6), ("top", 4)):
        contact_sheet(tmp_path / name, images[:count], columns=2)
    cut, whole = (Image.open(io.BytesIO(first_rows((tmp_path / "all").read_bytes(), rows, "top"))) for rows in (2, 9))
    assert (np.array(cut) == np.array(Image.open(tmp_path / "top"))).all()
    assert (np.array(whole) == np.array(Image.open(tmp_path / "all"))).all()
    assert cut.info["Title"] == "top"
    Image.fromarray(images[0]).save(tmp_path / "other.png")
    with pytest.raises(ValueError, match="Row height"):
        first_rows((tmp_path / "other.png").read_bytes(), 1, "other")
