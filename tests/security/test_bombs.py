"""Images that claim more than they hold are refused before they are decoded, and programs are no images."""

import struct
import zlib

import pytest

from src.data.image_files import read_image
from src.runtime.errors import InputError
from tests.data.pictures import claims, png, text

SIDE = 50_000


def tiff(width: int, height: int) -> bytes:
    """A strip of nothing in deflate, claimed to be the whole image."""
    data = zlib.compress(bytes(1000))
    tags = [(256, width), (257, height), (258, 8), (259, 8), (262, 1), (273, 8), (278, height), (279, len(data))]
    body = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + body + bytes(4)


def gif(width: int, height: int, frame: tuple[int, int]) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x4c\x01\x00;"


BOMBS = {
    "bomb.tif": tiff(SIDE, SIDE),
    "screen.gif": gif(SIDE, SIDE, (1, 1)),
    "frame.gif": gif(1, 1, (SIDE, SIDE)),
    "bomb.bmp": b"BM" + struct.pack("<IIIIiiHHIIIIII", 100, 0, 54, 40, SIDE, SIDE, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(40),
    "bomb.ppm": f"P6 {SIDE} {SIDE} 255\n".encode() + bytes(40),
}


@pytest.mark.parametrize("name", ["bomb.png", *BOMBS])
def test_an_image_that_claims_gigabytes_is_refused_before_it_is_decoded(name, tmp_path):
    claims(tmp_path / "bomb.png", SIDE, SIDE)
    if name in BOMBS:
        (tmp_path / name).write_bytes(BOMBS[name])
    assert (tmp_path / name).stat().st_size < 4096
    with pytest.raises(InputError, match=rf"{name} claims more than 178 megapixels; shrink it or take it out"):
        read_image(name, tmp_path)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_words_in_an_image_that_unfold_to_gigabytes_stay_folded(kind, tmp_path):
    """Pillow's own limit, a megabyte a chunk: the image is refused, or read without them."""
    folded = zlib.compress(bytes(2**25), 9)
    head = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[kind]
    (tmp_path / "words.png").write_bytes(png(1, 1, (kind, head + folded)))
    try:
        assert read_image("words.png", tmp_path).shape == (1, 1, 3)
    except InputError as error:
        assert "words.png" in str(error)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.svg", '<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
        ("a.png", '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg>&e;</svg>'),
        ("a.jpg", "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(canary) run\n"),
        ("a.gif", "%PDF-1.7\n"),
        ("a.bmp", "#!/bin/sh\ntouch canary\n"),
    ],
)
def test_what_an_interpreter_would_run_is_no_image(name, content, tmp_path):
    text(tmp_path / name, content)
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_image(name, tmp_path)
