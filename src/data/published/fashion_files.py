"""Fashion-MNIST (Xiao, Rasul, Vollgraf, arXiv 1708.07747) on disk: the official IDX files, and the sheets that ship.

The repository holds the first photographs of each class as two PNG pictures of tiles, without loss; all else is in the
IDX files alone, which are known by their sums, so that nothing in them need be doubted.
"""

import gzip
import hashlib
import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from src.data.image_files import below, read_image
from src.runtime.errors import InputError

CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"
)  # fmt: skip
SIDE = 28  # pixels
COLUMNS = 100  # photographs in a row of a sheet
SHEETS = {"train": "train.png", "test": "test.png"}
OFFICIAL = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
SUMS = {  # of what is in the gzip files: bytes, SHA-256
    "train-images-idx3-ubyte": (47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    "train-labels-idx1-ubyte": (60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    "t10k-images-idx3-ubyte": (7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    "t10k-labels-idx1-ubyte": (10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
}
IMAGES_HEADER, LABELS_HEADER = 16, 8  # bytes


def read_official(folder: Path, split: str) -> np.ndarray:
    """All photographs of `split`, train or test: uint8 (10, N, SIDE, SIDE), of each class in the official order.

    From the IDX files in `folder`, as they are or with .gz. Raises InputError for one that is missing or another.
    """
    images, labels = (_content(folder, name) for name in OFFICIAL[split])
    tiles = np.frombuffer(images, np.uint8, offset=IMAGES_HEADER).reshape(-1, SIDE, SIDE)
    order = np.argsort(np.frombuffer(labels, np.uint8, offset=LABELS_HEADER), kind="stable")
    return tiles[order].reshape(len(CLASSES), -1, SIDE, SIDE)


def read_sheet(folder: Path, split: str) -> np.ndarray | None:
    """The photographs of `split` that ship, as `read_official` gives all of them; None where `folder` has no sheet.

    Raises InputError for a picture that is no sheet.
    """
    if not (folder / SHEETS[split]).exists():
        return None
    sheet = read_image(SHEETS[split], folder)[..., 0]
    rows, columns = (edge // SIDE for edge in sheet.shape)
    if sheet.shape != (rows * SIDE, columns * SIDE) or rows * columns % len(CLASSES):
        raise InputError(f"{folder / SHEETS[split]} is no sheet of Fashion-MNIST; restore it with git")
    tiles = sheet.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)
    return tiles.reshape(len(CLASSES), -1, SIDE, SIDE)


def sheet_of(photographs: np.ndarray, columns: int = COLUMNS) -> bytes:
    """The PNG that `read_sheet` reads: uint8 (10, N, SIDE, SIDE), class after class; 10 N is a multiple of columns."""
    tiles = photographs.reshape(-1, columns, SIDE, SIDE).swapaxes(1, 2)
    data = io.BytesIO()
    Image.fromarray(tiles.reshape(-1, columns * SIDE)).save(data, "PNG", optimize=True)
    return data.getvalue()


def _content(folder: Path, name: str) -> bytes:
    """The bytes of an IDX file, unpacked."""
    packed, plain = below(folder, f"{name}.gz"), below(folder, name)
    size, digest = SUMS[name]
    try:
        with gzip.open(packed) if packed.exists() else plain.open("rb") as file:
            data = file.read(size + 1)  # of a file that claims more, no more than shows it
    except FileNotFoundError:
        raise InputError(f"{packed} is missing; data/raw/fashion_lt/SOURCE.md says where to get it") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        data = b""
    if hashlib.sha256(data).hexdigest() != digest:
        path = packed if packed.exists() else plain
        raise InputError(f"{path} is not Fashion-MNIST's file; data/raw/fashion_lt/SOURCE.md says where to get it")
    return data
