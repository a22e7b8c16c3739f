"""Shards return what was written, byte for byte, and say where they are damaged."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from src.errors import InputError
from src.shards import Shards, encode, shard_name, write_all, write_encoded, write_index, write_shard


def samples(count: int) -> list:
    pixels = np.random.default_rng(0).integers(256, size=(count, 6, 5, 3), dtype=np.uint8)
    return [(image, {"label": i % 3, "prompt": f"a photo of {i}"}) for i, image in enumerate(pixels)]


@pytest.fixture
def folder(tmp_path):
    write_all(tmp_path / "set", samples(7), shard_size=3)
    return tmp_path / "set"


def test_samples_return_as_written(folder):
    shards = Shards(folder)
    assert len(shards) == 7
    assert shards.labels.dtype == np.int64 and shards.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert np.array_equal(shards.images(), np.stack([image for image, _ in samples(7)]))
    assert np.array_equal(shards.image(4), samples(7)[4][0])
    assert shards.meta(5) == {"label": 2, "prompt": "a photo of 5"}


def test_equal_samples_give_equal_bytes(folder, tmp_path):
    write_all(tmp_path / "again", samples(7), shard_size=3)
    names = [shard_name(k) for k in range(3)] + ["index.jsonl"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert all((folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)


def test_shards_written_in_any_order_make_one_set(folder, tmp_path):
    for k in (2, 0, 1):
        write_shard(tmp_path / "any" / shard_name(k), 3 * k, samples(7)[3 * k : 3 * k + 3])
    write_index(tmp_path / "any")
    assert (tmp_path / "any" / "index.jsonl").read_bytes() == (folder / "index.jsonl").read_bytes()


def test_the_layout_is_webdatasets_and_offsets_point_at_the_png(folder):
    with tarfile.open(folder / shard_name(1)) as tar:
        assert tar.getnames() == [f"{key:08d}.{kind}" for key in (3, 4, 5) for kind in ("png", "json")]
        assert json.load(tar.extractfile("00000004.json")) == {"label": 1, "prompt": "a photo of 4"}
    line = json.loads((folder / "index.jsonl").read_text().splitlines()[4])
    png = (folder / line["shard"]).read_bytes()[line["offset"] :][: line["length"]]
    assert np.array_equal(np.array(Image.open(io.BytesIO(png))), samples(7)[4][0])


def test_a_flipped_bit_is_found_and_named_and_spares_the_others(folder):
    line = json.loads((folder / "index.jsonl").read_text().splitlines()[4])
    data = bytearray((folder / line["shard"]).read_bytes())
    data[line["offset"] + 20] ^= 1
    (folder / line["shard"]).write_bytes(data)
    shards = Shards(folder)
    with pytest.raises(InputError, match=r"shard-00001.tar is damaged at sample 00000004; run `dvc checkout`"):
        shards.image(4)
    assert np.array_equal(shards.image(3), samples(7)[3][0])


def test_a_truncated_or_missing_shard_is_named(folder):
    data = (folder / shard_name(2)).read_bytes()
    (folder / shard_name(2)).write_bytes(data[:600])
    (folder / shard_name(0)).unlink()
    for i, problem in [
        (6, "shard-00002.tar is damaged at sample 00000006"),
        (0, "shard-00000.tar is missing"),
    ]:
        with pytest.raises(InputError, match=problem):
            Shards(folder).image(i)
    for length in (0, 100, 520, 600, 1100):
        (folder / shard_name(2)).write_bytes(data[:length])
        with pytest.raises(InputError, match=r"shard-00002.tar"):
            write_index(folder)


def test_an_unreadable_png_is_named_even_where_its_hash_agrees(tmp_path):
    write_tar(tmp_path / shard_name(0), {"00000000.png": b"no image", "00000000.json": b'{"label": 0}'})
    write_index(tmp_path)
    with pytest.raises(InputError, match="unreadable image at sample 00000000"):
        Shards(tmp_path).image(0)


@pytest.mark.parametrize("name", ["../00000000.png", "00000000.png/..", "readme.txt", "00000000.jpg", "/00000000.png"])
def test_a_member_that_no_sample_has_is_refused(tmp_path, name):
    write_tar(tmp_path / shard_name(0), {name: b""})
    with pytest.raises(InputError, match="which no sample has"):
        write_index(tmp_path)


def test_a_link_is_refused(tmp_path):
    with tarfile.open(tmp_path / shard_name(0), "w") as tar:
        link = tarfile.TarInfo("00000000.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    with pytest.raises(InputError, match="which no sample has"):
        write_index(tmp_path)


@pytest.mark.parametrize(
    "members",
    [
        {"00000000.png": b""},
        {"00000000.json": b'{"label": 0}'},
        {"00000000.png": b"", "00000000.json": b"{}"},
    ],
)
def test_half_a_sample_is_refused(tmp_path, members):
    write_tar(tmp_path / shard_name(0), members)
    with pytest.raises(InputError, match="lacks the image or the label of sample 00000000"):
        write_index(tmp_path)


def test_a_key_that_occurs_twice_is_refused(tmp_path):
    for k in range(2):
        write_shard(tmp_path / shard_name(k), 0, samples(1))
    with pytest.raises(InputError, match="twice"):
        write_index(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]\n", '{"key": "00000000"}\n', '{"meta": {"label": 0}, "shard": "../x"}\n'])
def test_a_damaged_or_missing_index_is_an_input_error(tmp_path, text):
    with pytest.raises(InputError, match=r"index.jsonl is missing"):
        Shards(tmp_path)
    (tmp_path / "index.jsonl").write_text(text)
    with pytest.raises(InputError, match=r"index.jsonl is damaged"):
        Shards(tmp_path)


def test_contexts_are_those_of_the_samples_where_they_have_one(tmp_path):
    pixels = samples(3)[0][0]
    for name, contexts, expected in [("all", [2, 0, 1], [2, 0, 1]), ("none", [None] * 3, None)]:
        write_all(tmp_path / name, [(pixels, {"label": 0, "context": context}) for context in contexts])
        found = Shards(tmp_path / name).contexts
        assert found is None if expected is None else found.dtype == np.int64 and found.tolist() == expected
    write_all(tmp_path / "absent", samples(3))
    assert Shards(tmp_path / "absent").contexts is None
    write_all(tmp_path / "some", [(pixels, {"label": 0, "context": context}) for context in (1, None)])
    with pytest.raises(InputError, match=r"index.jsonl is damaged"):
        Shards(tmp_path / "some")


def test_images_encoded_beforehand_give_the_same_bytes(tmp_path, folder):
    write_encoded(tmp_path / "shard", 3, [(encode(image), meta) for image, meta in samples(7)[3:6]])
    assert (tmp_path / "shard").read_bytes() == (folder / shard_name(1)).read_bytes()


def test_a_folder_without_samples_and_images_of_two_sizes_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no shards"):
        write_index(tmp_path)
    write_all(tmp_path, [*samples(1), (np.zeros((9, 9, 3), np.uint8), {"label": 0})])
    with pytest.raises(InputError, match="mixes images"):
        Shards(tmp_path).images()


def test_a_sample_without_label_or_of_another_type_is_a_defect(tmp_path):
    for image, meta, problem in [
        (np.zeros((2, 2, 3), np.uint8), {}, "with a label"),
        (np.zeros((2, 2, 3)), {"label": 0}, "expected a uint8"),
    ]:
        with pytest.raises(ValueError, match=problem):
            write_shard(tmp_path / shard_name(0), 0, [(image, meta)])
    assert not any(tmp_path.iterdir())


def write_tar(path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
