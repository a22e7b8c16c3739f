"""Shards return what was written, byte for byte, and say where they are damaged."""

import hashlib
import io
import json
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from src.runtime.errors import InputError
from src.shards.check import damaged
from src.shards.store import Shards, encode, shard_name, write_all, write_encoded, write_index, write_shard
from tests.shards.samples import samples


def test_samples_return_as_written(folder):
    shards = Shards(folder)
    assert len(shards) == 7
    assert shards.labels.dtype == np.int64 and shards.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert all(np.array_equal(shards.image(i), image) for i, (image, _) in enumerate(samples(7)))
    assert np.array_equal(shards.images()[:], np.stack([image[:5] for image, _ in samples(7)]))  # the middle of 6
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


def test_a_flipped_bit_is_found_and_named_and_spares_the_others(folder):
    line = json.loads((folder / "index.jsonl").read_text().splitlines()[4])
    data = bytearray((folder / line["shard"]).read_bytes())
    data[line["offset"] + 20] ^= 1
    (folder / line["shard"]).write_bytes(data)
    shards = Shards(folder)
    with pytest.raises(InputError, match=r"shard-00001.tar is damaged at sample 00000004; run `make repair`"):
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


def test_a_jpeg_is_close_and_smaller_and_told_by_its_extension(tmp_path):
    y, x = np.mgrid[:64, :64]
    smooth = np.stack([x * 4, y * 4, 255 - x * 2], -1).astype(np.uint8)
    write_all(tmp_path / "png", [(smooth, {"label": 0})])
    write_all(tmp_path / "jpeg", [(smooth, {"label": 0})], image_format="jpeg")
    exact, close = Shards(tmp_path / "png"), Shards(tmp_path / "jpeg")
    assert (exact.suffix(0), close.suffix(0)) == ("png", "jpg")
    with tarfile.open(tmp_path / "jpeg" / shard_name(0)) as tar:
        assert tar.getnames() == ["00000000.jpg", "00000000.json"]
    with Image.open(io.BytesIO(close.stored(0))) as image:
        assert image.format == "JPEG" and all(layer[1:3] == (1, 1) for layer in image.layer)  # no subsampling
    assert np.array_equal(exact.image(0), smooth)
    assert 0 < np.abs(close.image(0).astype(int) - smooth).max() < 12


def test_an_unknown_format_is_refused_by_its_parameter(tmp_path):
    for image_format in ("webp", "PNG", 3, None):
        with pytest.raises(InputError, match=r"synth\.image_format .*choose one of: png, jpeg"):
            write_shard(tmp_path / "shard", 0, samples(1), image_format)
    assert not any(tmp_path.iterdir())


def test_writing_returns_the_sha256_of_the_file(tmp_path):
    for image_format in ("png", "jpeg"):
        digest = write_shard(tmp_path / "shard", 0, samples(2), image_format)
        assert digest == hashlib.sha256((tmp_path / "shard").read_bytes()).hexdigest()


METAS = st.fixed_dictionaries(
    {"label": st.integers(0, 999)},
    optional={
        "prompt": st.text(st.characters(exclude_categories=["Cs"])),
        "seed": st.integers(0, 2**63 - 1),
        "criterion_after": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "note": st.lists(st.booleans() | st.text(max_size=3), max_size=3),
    },
)


@settings(max_examples=40, deadline=None)
@given(
    metas=st.lists(METAS, min_size=1, max_size=5),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 99),
    shard_size=st.integers(1, 4),
    image_format=st.sampled_from(["png", "jpeg"]),
)
def test_whatever_is_written_is_read_back(tmp_path_factory, metas, size, seed, shard_size, image_format):
    folder = tmp_path_factory.mktemp("any")
    pixels = np.random.default_rng(seed).integers(256, size=(len(metas), *size, 3), dtype=np.uint8)
    write_all(folder, list(zip(pixels, metas, strict=True)), shard_size, image_format)
    shards = Shards(folder)
    assert [shards.meta(i) for i in range(len(shards))] == metas
    assert shards.labels.tolist() == [meta["label"] for meta in metas]
    assert [shards.stored(i) for i in range(len(shards))] == [encode(image, image_format) for image in pixels]
    assert shards.images().shape == (len(metas), min(size), min(size), 3)
    assert image_format == "jpeg" or all(np.array_equal(shards.image(i), image) for i, image in enumerate(pixels))
    assert damaged(folder) == {}


@pytest.mark.parametrize("files", [1, 128])
def test_threads_and_a_forked_process_read_at_the_same_time(tmp_path, monkeypatch, files):
    monkeypatch.setattr("src.shards.index.OPEN", files)
    write_all(tmp_path, samples(60), 7)
    shards, expected = Shards(tmp_path), samples(60)

    def agrees(i: int) -> bool:
        return np.array_equal(shards.image(i), expected[i][0]) and shards.meta(i) == expected[i][1]

    assert agrees(0)
    child = os.fork()
    if child == 0:
        os._exit(0 if all(map(agrees, range(60))) else 1)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(agrees, [*range(60), *range(59, -1, -1)]))
    assert os.waitpid(child, 0)[1] == 0


def test_more_shards_than_files_that_stay_open_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("src.shards.index.OPEN", 2)
    write_all(tmp_path, samples(12), 1)
    shards = Shards(tmp_path)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(2):
        assert all(np.array_equal(shards.image(i), samples(12)[i][0]) for i in range(12))
    assert not before or len(os.listdir("/proc/self/fd")) <= before + 2


def test_positions_count_from_the_end_too_and_end_where_they_end(folder):
    shards = Shards(folder)
    assert np.array_equal(shards.image(-1), samples(7)[6][0]) and shards.meta(-7) == shards.meta(np.int64(0))
    for beyond in (7, -8):
        for read in (shards.image, shards.meta, shards.stored):
            with pytest.raises(IndexError):
                read(beyond)


def test_an_image_too_large_to_be_read_again_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("src.shards.codec.MOST_PIXELS", 29)
    with pytest.raises(InputError, match=r"5 x 6 pixels .*; choose a smaller"):
        write_shard(tmp_path / "shard", 0, samples(1))
