"""Whatever people call an image comes in as a viewer shows it, or is refused by name."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from src.data.image_files import FORMATS, inside, read_image, reader, sketches
from src.runtime.errors import InputError, listed
from src.shards.pixels import centre_square
from tests.data.pictures import BLUE, GREEN, RED, corners, noise, rotated, save, text, truncated


def near(pixel: np.ndarray, colour: tuple[int, int, int], by: int = 6) -> bool:
    return bool((np.abs(pixel.astype(int) - colour) <= by).all())


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.webp", "A.PNG"])
def test_a_lossless_image_returns_as_it_is(name, tmp_path):
    save(tmp_path / name, noise(), **({"lossless": True} if name.endswith("webp") else {}))
    assert np.array_equal(read_image(name, tmp_path), noise())


def test_greyscale_has_three_equal_channels(tmp_path):
    save(tmp_path / "grey.png", noise()[..., 0])
    assert np.array_equal(read_image("grey.png", tmp_path), noise()[..., :1].repeat(3, axis=2))


def test_transparency_is_laid_on_white_in_full_colour_grey_and_palettes(tmp_path):
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[..., 0], rgba[:2, :, 3], rgba[2, :, 3] = 255, 255, 51
    save(tmp_path / "rgba.png", rgba)
    image = read_image("rgba.png", tmp_path)
    assert (image[:2] == RED).all() and (image[3] == 255).all() and (image[2] == (255, 204, 204)).all()
    save(tmp_path / "la.png", Image.fromarray(rgba).convert("LA"))
    assert (read_image("la.png", tmp_path)[3] == 255).all()
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, *GREEN])
    palette.putpixel((0, 0), 0)
    save(tmp_path / "palette.png", palette, transparency=0)
    image = read_image("palette.png", tmp_path)
    assert (image[0, 0] == 255).all() and (image[1, 1] == GREEN).all()


@pytest.mark.parametrize("name", ["deep.png", "deep.tif", "deep.pgm"])
def test_sixteen_bits_are_scaled_and_not_clipped(name, tmp_path):
    deep = np.array([[0, 257, 32768, 65535], [128, 129, 65407, 65406]], np.uint16)
    save(tmp_path / name, deep)
    expected = np.round(deep / 257).astype(np.uint8)
    assert np.array_equal(read_image(name, tmp_path), expected[..., None].repeat(3, axis=2))
    assert expected.tolist() == [[0, 1, 128, 255], [0, 1, 255, 254]]


@pytest.mark.parametrize("values", [np.array([[0.5]], np.float32), np.array([[70000]], np.int32)])
def test_pixels_of_an_unknown_range_are_refused(values, tmp_path):
    save(tmp_path / "float.tif", values)
    with pytest.raises(InputError, match=r"float.tif holds pixels beyond 16 bits"):
        read_image("float.tif", tmp_path)


def test_cmyk_is_converted(tmp_path):
    save(tmp_path / "print.jpg", Image.new("RGB", (16, 16), BLUE).convert("CMYK"), quality=95)
    assert near(read_image("print.jpg", tmp_path)[8, 8], BLUE)


def test_exif_turns_the_image_upright_whatever_the_format(tmp_path):
    for orientation, red, blue in [
        (1, (4, 2), (4, 13)),
        (3, (4, 13), (4, 2)),
        (6, (2, 4), (13, 4)),
        (8, (13, 4), (2, 4)),
    ]:
        for name in ("turned.jpg", "turned.png"):
            rotated(tmp_path / name, orientation)
            image = read_image(name, tmp_path)
            assert image.shape == ((8, 16, 3) if orientation in (1, 3) else (16, 8, 3))
            assert near(image[red], RED) and near(image[blue], BLUE)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_malformed_exif_costs_no_image(tmp_path):
    save(tmp_path / "odd.jpg", corners(), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff nonsense", quality=95)
    assert near(read_image("odd.jpg", tmp_path)[4, 2], RED)


def test_an_animation_is_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    save(tmp_path / "moving.gif", frames[0], save_all=True, append_images=frames[1:])
    assert (read_image("moving.gif", tmp_path) == RED).all()


def test_content_counts_and_not_the_extension(tmp_path):
    save(tmp_path / "really_a_png.jpg", noise(), format="PNG")
    assert np.array_equal(read_image("really_a_png.jpg", tmp_path), noise())


@pytest.mark.parametrize("make", [text, truncated, lambda path: text(path, ""), lambda path: path.mkdir()])
def test_what_is_no_whole_image_is_refused_by_name(make, tmp_path):
    for name in ("bad.jpg", "bad.png"):
        make(tmp_path / name)
        with pytest.raises(InputError, match=rf"{name} (cannot be read as an image|is missing)"):
            read_image(name, tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("damage", range(8))
def test_random_damage_never_ends_in_a_traceback(damage, tmp_path):
    generator = np.random.default_rng(damage)
    for number, name in enumerate(["a.png", "a.jpg", "a.gif", "a.tif", "a.webp", "a.bmp"] * 5):
        path = save(tmp_path / f"{number}{name}", noise())
        data = np.frombuffer(path.read_bytes(), np.uint8).copy()
        data[generator.integers(len(data), size=20)] = generator.integers(256, size=20)
        path.write_bytes(data.tobytes())
        try:
            assert read_image(path.name, tmp_path).shape[2] == 3
        except InputError as error:
            assert path.name in str(error)


def test_no_interpreter_is_handed_a_file(tmp_path):
    assert not {"EPS", "WMF"} & set(FORMATS)
    text(tmp_path / "script.png", "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_image("script.png", tmp_path)


@pytest.mark.parametrize(
    "entry", ["../outside.png", "a/../../outside.png", "link.png", "out/outside.png", "loop/x", "\0"]
)
def test_no_entry_leaves_the_root(entry, tmp_path):
    save(tmp_path / "outside.png", noise())
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    (root / "out").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")
    for entry_ in (entry, str(tmp_path / "outside.png"), str(root / "a")):
        with pytest.raises(InputError, match=r"leads out of|no path that can be followed"):
            inside(root, entry_)
        with pytest.raises(InputError):
            read_image(entry_, root)


def test_links_within_the_root_and_to_the_root_are_followed(tmp_path):
    save(tmp_path / "real" / "a" / "1.png", noise())
    (tmp_path / "real" / "b.png").symlink_to("a/1.png")
    (tmp_path / "root").symlink_to("real")
    assert np.array_equal(read_image("b.png", tmp_path / "root"), noise())
    assert np.array_equal(read_image("a/../a/1.png", tmp_path / "root"), noise())


def test_shrinking_leaves_an_image_of_that_size_alone():
    square = noise(16, 16)
    assert centre_square(square, 16) is square


def test_shrinking_cuts_the_centre_of_the_longer_side():
    wide = noise(8, 14)
    assert np.array_equal(centre_square(wide, 8), wide[:, 3:11])
    assert np.array_equal(centre_square(wide.transpose(1, 0, 2), 8), wide[:, 3:11].transpose(1, 0, 2))


def test_shrinking_averages_instead_of_picking_pixels():
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    small = centre_square(board[..., None].repeat(3, axis=2), 8)
    assert (np.abs(small.astype(int) - 127) <= 3).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 20), st.integers(0, 255))
def test_any_shape_becomes_a_square_and_a_constant_stays_one(height, width, size, shade):
    image = centre_square(np.full((height, width, 3), shade, np.uint8), size)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8 and (image == shade).all()


def test_an_extreme_strip_costs_no_more_than_its_square():
    assert centre_square(np.zeros((1, 100_000, 3), np.uint8), 64).shape == (64, 64, 3)


def test_a_reader_of_files_reads_by_position(tmp_path):
    for i in range(3):
        save(tmp_path / f"{i}.png", noise(seed=i))
    read = reader(tmp_path, ["2.png", "0.png"])
    assert np.array_equal(read(0), noise(seed=2)) and np.array_equal(read(1), noise(seed=0))


def test_all_unreadable_files_are_found_in_one_pass(tmp_path):
    save(tmp_path / "good.png", noise())
    text(tmp_path / "text.png")
    known, problems = sketches(tmp_path, ["good.png", "text.png", "absent.png"])
    assert list(known) == ["good.png"]
    assert list(problems) == ["text.png", "absent.png"]
    assert problems["text.png"] == f"{tmp_path}/text.png cannot be read as an image"


def test_a_long_list_is_cut_and_counted():
    assert listed(str(i) for i in range(10)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert listed([str(i) for i in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_a_forbidden_file_keeps_its_own_error(tmp_path):
    save(tmp_path / "secret.png", noise()).chmod(0)
    with pytest.raises(PermissionError):
        read_image("secret.png", tmp_path)


@pytest.mark.parametrize(("bits", "white"), [(8, 0), (8, 1), (16, 0), (16, 1)])
def test_a_tiff_whose_white_is_zero_is_no_negative(tmp_path: Path, bits: int, white: int) -> None:
    """white: tag 262; with 0 the smallest number is white. Pillow inverts those of 8 bits alone."""
    top, kind = 2**bits - 1, "<u2" if bits == 16 else "u1"
    data = np.array([[0, top]], kind).tobytes()
    tags = {256: 2, 257: 1, 258: bits, 259: 1, 262: white, 273: 8, 277: 1, 278: 1, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, v) for tag, v in tags.items())
    start = 8 + len(data)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    (tmp_path / "x.tif").write_bytes(b"II*\0" + struct.pack("<I", start) + data + directory)
    seen = read_image("x.tif", tmp_path)[0, :, 0].tolist()
    assert seen == ([0, 255] if white else [255, 0])
