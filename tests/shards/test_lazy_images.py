"""Images by position: in memory or decoded on demand, one reads like the other."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.runtime.errors import InputError
from src.shards import lazy_images as module
from src.shards.lazy_images import Chosen, ShardImages, in_memory, subset
from src.shards.store import Shards, write_all

N = 40
SIZE = (5, 5, 3)


def pixels(seed: int, count: int = N) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=(count, *SIZE), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_all(folder, [(image, {"label": 0}) for image in pixels(0)], shard_size=7)
    return folder


KEYS = [
    0, -1, N - 1, np.int64(3), slice(None), slice(3, 9), slice(None, None, -3), slice(50, 60), [4, 4, 0], [],
    np.array([7, -2, 7]), np.arange(N) % 3 == 0, np.arange(N)[::-1],
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_the_lazy_view_reads_like_the_array(key, folder):
    lazy, every = ShardImages(Shards(folder)), pixels(0)
    key = np.array(key, int) if isinstance(key, list) else key
    found = lazy[key]
    assert found.dtype == lazy.dtype == np.uint8 and np.array_equal(found, every[key])
    assert lazy.shape == every.shape and len(lazy) == N


def test_the_lazy_view_ends_where_it_ends(folder):
    lazy = ShardImages(Shards(folder))
    for key in (N, -N - 1, np.array([0, N])):
        with pytest.raises(IndexError):
            lazy[key]
    assert len(list(lazy)) == N


def test_a_limit_decides_between_the_two(folder):
    shards, size = Shards(folder), int(np.prod((N, *SIZE)))
    assert isinstance(shards.images(size), np.ndarray) and isinstance(shards.images(size - 1), ShardImages)
    assert isinstance(shards.images(), np.ndarray) and isinstance(shards.images(limit_bytes=0), ShardImages)
    assert np.array_equal(shards.images(), shards.images(limit_bytes=0)[:])
    assert np.array_equal(shards.images(), pixels(0))


def test_one_processor_reads_the_same(folder, monkeypatch):
    monkeypatch.setattr(module.os, "cpu_count", lambda: 1)
    assert np.array_equal(ShardImages(Shards(folder))[:], pixels(0))


def test_a_view_travels_to_another_process(folder):
    assert np.array_equal(pickle.loads(pickle.dumps(ShardImages(Shards(folder))))[3:5], pixels(0)[3:5])


def test_a_changed_byte_is_found_whenever_it_is_read(tmp_path):
    write_all(tmp_path, [(image, {"label": 0}) for image in pixels(0)])
    lazy = ShardImages(Shards(tmp_path))
    line = json.loads((tmp_path / "index.jsonl").read_text().splitlines()[30])
    data = bytearray((tmp_path / line["shard"]).read_bytes())
    data[line["offset"] + 20] ^= 1
    (tmp_path / line["shard"]).write_bytes(data)
    assert np.array_equal(lazy[:30], pixels(0)[:30])
    for key in (30, slice(None)):
        with pytest.raises(InputError, match="damaged at sample 00000030"):
            lazy[key]


def test_an_image_of_another_size_is_refused_when_it_is_read(tmp_path):
    write_all(tmp_path, [(np.zeros((size, size + 1, 3), np.uint8), {"label": 0}) for size in (4, 4, 5)])
    lazy = Shards(tmp_path).images(limit_bytes=0)
    assert lazy[:2].shape == (2, 4, 4, 3)
    for key in (2, slice(None)):
        with pytest.raises(InputError, match=r"mixes images of \(4, 4, 3\) and \(5, 6, 3\)"):
            lazy[key]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, N - 1)), min_size=1, max_size=30), st.data())
def test_chosen_images_are_those_of_their_parts_in_the_chosen_order(folder, entries, data):
    which, position = np.array(entries).T
    parts = [ShardImages(Shards(folder)), pixels(1)]
    chosen = Chosen(parts, which, position)
    expected = np.stack([pixels(int(w))[p] for w, p in entries])
    assert chosen.shape == expected.shape and len(chosen) == len(entries)
    assert np.array_equal(chosen[:], expected)
    key = data.draw(st.lists(st.integers(0, len(entries) - 1)))
    assert np.array_equal(chosen[np.array(key, int)], expected[np.array(key, int)])
    assert np.array_equal(chosen[-1], expected[-1])
    assert np.array_equal(in_memory(chosen), expected) and in_memory(chosen, 0) is chosen


def test_a_boolean_chooses_the_second_part():
    chosen = Chosen([pixels(0), pixels(1)], np.array([False, True]), np.array([2, 2]))
    assert np.array_equal(chosen[:], np.stack([pixels(0)[2], pixels(1)[2]]))


def test_parts_of_two_sizes_are_refused():
    with pytest.raises(InputError, match="resize them first"):
        Chosen([pixels(0), np.zeros((1, 9, 9, 3), np.uint8)], np.array([0]), np.array([0]))


@pytest.mark.parametrize(
    "key", [slice(9), slice(0), slice(3, 30, 4), np.array([7, -2, 7]), np.arange(N) % 3 == 0], ids=str
)
def test_a_subset_reads_like_the_arrays_and_decodes_nothing_until_it_is_asked(key, folder, monkeypatch):
    lazy, every = ShardImages(Shards(folder)), pixels(0)
    with monkeypatch.context() as patch:
        patch.setattr(ShardImages, "__getitem__", lambda *_: pytest.fail("decoded"))
        part, again = subset(lazy, key), subset(Chosen([lazy], np.zeros(N, int), np.arange(N)), key)
    for view in (part, again):
        assert not isinstance(view, np.ndarray) and view.shape == every[key].shape
        assert np.array_equal(view[:], every[key])


def test_a_subset_of_an_array_by_a_slice_is_no_copy():
    every = pixels(0)
    assert subset(every, slice(9)).base is every
