"""Image files as people have them, good and bad, for the tests of own data."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def noise(height: int = 12, width: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=(height, width, 3), dtype=np.uint8)


def save(path: Path, image: np.ndarray | Image.Image, **how) -> Path:
    """Write an image; the folder is made, and the format is told by the extension unless given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **how)
    return path


def photographs(folder: Path, count: int, seed: int = 0) -> None:
    """So many different images, 0.png and on, others in a folder of another name."""
    own = zlib.crc32("/".join(folder.parts[-2:]).encode())
    for i in range(count):
        save(folder / f"{i}.png", noise(seed=own + 1000 * seed + i))


def truncated(path: Path) -> Path:
    save(path, noise(64, 64))
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def png(width: int, height: int, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG of one black pixel whose header claims so many, with further chunks (kind, data) before it."""
    header = struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), *more, (b"IDAT", zlib.compress(bytes(4))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def claims(path: Path, width: int, height: int) -> Path:
    """A file of a few bytes whose header claims width x height pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(width, height))
    return path


def text(path: Path, words: str = "no image") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(words)
    return path


def corners() -> Image.Image:
    """2 x 1 blocks of 8 pixels: left red, right blue."""
    image = Image.new("RGB", (16, 8), RED)
    image.paste(BLUE, (8, 0, 16, 8))
    return image


def rotated(path: Path, orientation: int) -> Path:
    """`corners` in a file whose EXIF says how a viewer turns it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return save(path, corners(), exif=exif.tobytes(), **({"quality": 95} if path.suffix == ".jpg" else {}))
