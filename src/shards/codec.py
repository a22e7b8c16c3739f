"""One image as shards store it: an exact PNG, or a JPEG where space matters; measured before it is decoded."""

import io

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from src.runtime.choices import choose
from src.runtime.errors import InputError

SUFFIXES = {"png": "png", "jpeg": "jpg"}
# A file of a few bytes may claim gigabytes of pixels. Generated images have one or two million; these are 4096 x 4096.
MOST_PIXELS = 2**24
MOST_BYTES = 4 * MOST_PIXELS  # noise of that size as a PNG has three quarters of this


def suffix_of(image_format: str) -> str:
    """The extension of images in `image_format`; InputError for a format that is not known."""
    return choose("synth.image_format", SUFFIXES, image_format)


def encode(image: np.ndarray, image_format: str = "png") -> bytes:
    """What is stored for an image: a PNG, or a JPEG of quality 95 with its colours at full resolution.

    Raises ValueError unless the image is uint8 (H, W, 3), and InputError for an unknown format or more than
    `MOST_PIXELS`.
    """
    suffix = suffix_of(image_format)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"expected a uint8 (H, W, 3) image, got {image.dtype} {image.shape}")
    if image.shape[0] * image.shape[1] > MOST_PIXELS:
        raise InputError(f"{_too_large(*image.shape[:2])}; choose a smaller image size")
    data = io.BytesIO()
    if suffix == "png":
        Image.fromarray(image).save(data, "PNG")
    else:
        Image.fromarray(image).save(data, "JPEG", quality=95, subsampling=0)
    return data.getvalue()


def decode(data: bytes, image_format: str = "png") -> np.ndarray:
    """The image uint8 (H, W, 3) of stored bytes; ValueError, half a sentence, if there is none or a huge one."""
    # The plugin itself: Image.open would try other formats, and only warn of a size that it then decodes.
    plugin = PngImageFile if suffix_of(image_format) == "png" else JpegImageFile
    try:
        with plugin(io.BytesIO(data)) as image:
            height, width = image.height, image.width
            fits = height * width <= MOST_PIXELS
            pixels = np.array(image if image.mode == "RGB" else image.convert("RGB")) if fits else None
    except MemoryError:
        raise
    except Exception:  # damaged files make the decoders raise errors of every kind
        raise ValueError(f"the bytes are no {image_format.upper()} image") from None
    if pixels is None:
        raise ValueError(_too_large(height, width))
    return pixels


def _too_large(height: int, width: int) -> str:
    return f"an image of {width} x {height} pixels is beyond the {MOST_PIXELS // 2**20} Mi that are decoded"
