"""Image files as people have them, read into one form: upright 8-bit RGB, or refused by the file's name."""

import errno
import io
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from src.data.duplicates import Sketch, sketch
from src.runtime.errors import InputError
from src.runtime.processes import is_main

# Twice Pillow's warning level, its own border of what it refuses: a file of a few bytes may claim gigabytes of pixels.
LIMIT = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)
# A small file may be refused earlier: no photograph of over 16 megapixels has a thousand of them in a byte.
BOMB_PIXELS, BOMB_RATIO = 16_000_000, 1000

# They name no file; what matters of them becomes an error here, which does.
warnings.filterwarnings("ignore", module=r"PIL\.")
Image.init()
# Raster formats alone: Pillow would hand PostScript, for one, to an interpreter.
FORMATS = tuple(
    sorted({"AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP"} & set(Image.OPEN))
)


def inside(root: Path, relative: str | Path) -> Path:
    """The resolved path of an entry of the data set at `root`.

    Raises InputError, naming the entry, if it is absolute or leaves `root` by `..` or by a symbolic link.
    """
    base = root.resolve()
    try:
        path = (base / relative).resolve()
        if any(map(os.path.islink, (path, *path.parents))):  # a loop, which Python lets pass from 3.13 on
            raise OSError(errno.ELOOP)
    except (OSError, RuntimeError, ValueError):  # a name too long, a loop of links, a zero byte
        raise InputError(f"{str(relative)!r} is no path that can be followed; correct the entry") from None
    if Path(relative).is_absolute() or not path.is_relative_to(base):
        raise InputError(
            f"'{relative}' leads out of {root}; copy what it names into that folder, or set the data set's path to one "
            "that holds all of it"
        )
    return path


def below(root: Path, relative: str) -> Path:
    """`root / relative` as users know it, which need not be there; InputError as for `inside`."""
    inside(root, relative)
    return root / relative


def is_file(path: Path) -> bool:
    """Whether it is a file; a name too long for the file system is none."""
    try:
        return path.is_file()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise


def read_image(relative: str | Path, root: Path) -> np.ndarray:
    """Image `relative` below `root` as uint8 (H, W, 3), as a viewer shows it.

    Told by content, not by extension. EXIF orientation is applied; the first frame of an animation is taken;
    transparency is laid on white; greyscale, palettes and CMYK become RGB; 16-bit grey is scaled to 8 bits.
    Raises InputError naming the file if it leaves `root`, cannot be decoded whole, or claims too many pixels.
    """
    path, name = inside(root, relative), root / relative
    if not is_file(path):
        raise InputError(f"{name} is missing; put it back, or take its entry out")
    data = io.BytesIO(path.read_bytes())  # a fault of the disk is no fault of the image, and keeps its own error
    try:
        with Image.open(data, formats=FORMATS) as image:
            if image.width * image.height > max(BOMB_PIXELS, BOMB_RATIO * data.getbuffer().nbytes):
                claim = f"{image.width * image.height // 10**6} megapixels in {data.getbuffer().nbytes} bytes"
                raise InputError(f"{name} claims {claim}, as no photograph does; take it out")
            image.load()
            negative = getattr(image, "tag_v2", {}).get(262) == 0 and image.mode.startswith("I;16")  # white is 0
            pixels = np.array(_rgb(_upright(image), name))
            return 255 - pixels if negative else pixels  # Pillow does so itself at 8 bits
    except (InputError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise InputError(f"{name} claims more than {LIMIT // 10**6} megapixels; shrink it or take it out") from None
    except Exception:  # damaged files make the decoders raise errors of every kind
        raise InputError(f"{name} cannot be read as an image; mend it or take it out") from None


def looks_like_image(path: Path) -> bool:
    """Whether the file begins as an image that can be read here does; what cannot be opened does not."""
    try:
        with Image.open(path, formats=FORMATS):
            return True
    except Exception:  # what is in a file decides which error its readers raise
        return False


def reader(root: Path, relative_paths: Sequence[str]) -> Callable[[int], np.ndarray]:
    """`ImageSource.read` for images in files below `root`."""
    return lambda i: read_image(relative_paths[i], root)


def sketches(root: Path, relative_paths: Sequence[str]) -> tuple[dict[str, Sketch], dict[str, str]]:
    """What copies of each image are known by, and what is wrong with those that cannot be read, as half a sentence.

    Both by path, in the order given; every file is decoded once.
    """

    def seen(relative: str) -> Sketch | str:
        try:
            return sketch(read_image(relative, root))
        except InputError as error:
            return str(error).partition(";")[0]

    with ThreadPoolExecutor() as pool:
        answers = tqdm(
            pool.map(seen, relative_paths), "reading every image once", len(relative_paths), leave=False,
            disable=not is_main(), delay=2, mininterval=2, unit="image",
        )  # fmt: skip
        by_path = dict(zip(relative_paths, answers, strict=True))
    return (
        {path: answer for path, answer in by_path.items() if isinstance(answer, Sketch)},
        {path: answer for path, answer in by_path.items() if isinstance(answer, str)},
    )


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # malformed EXIF says nothing about the pixels
        return image


def _rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise InputError(f"{path} holds pixels beyond 16 bits, whose range is unknown; convert it to 8 bits")
        return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "P" or image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
