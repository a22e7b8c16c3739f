"""A damaged index is refused, a damaged image is named by shard and key, and damage is found without decoding."""

import hashlib
import json
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.runtime.errors import InputError
from src.runtime.files import atomic_write
from src.shards.check import damaged
from src.shards.codec import MOST_PIXELS
from src.shards.store import Shards, encode, shard_name, write_all, write_index
from src.shards.tar import pack
from tests.data.pictures import png
from tests.shards.samples import samples


def rewrite(folder, change) -> None:
    """Index lines changed by `change`, which gets and returns their list of dictionaries."""
    path = folder / "index.jsonl"
    rows = change([json.loads(line) for line in path.read_text().splitlines()])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    "text", ["", "{", "\n", "3\n", "null\n", '"text"\n', "[]\n", "{} {}\n", "{}x\n", '{"key": "00000000"}\n', "\0\n",
             "[" * 100_000 + "\n", '{"meta": {"label": 0}, "shard": "../x"}\n'],
)  # fmt: skip
def test_a_damaged_or_missing_index_is_an_input_error(tmp_path, text):
    with pytest.raises(InputError, match=r"index.jsonl is missing"):
        Shards(tmp_path)
    (tmp_path / "index.jsonl").write_text(text)
    with pytest.raises(InputError, match=r"index.jsonl is damaged"):
        Shards(tmp_path)
    (tmp_path / "index.jsonl").unlink()
    (tmp_path / "index.jsonl").mkdir()
    with pytest.raises(InputError, match=r"index.jsonl is not a file"):
        Shards(tmp_path)


ODD = {
    "key": ["", "3", "000000003", "00000001", "99999999", 3, None, "0000000x", "00000003\n", "\u0663" * 8, "9" * 30],
    "shard": ["../x.tar", "/etc/shard-00000.tar", "shard-0.tar", "shard-00000.tar\n", "", None, 3, ["a"],
              "x/shard-00000.tar", "shard-" + "0" * 300 + ".tar"],
    "offset": [-1, True, 1.5, "512", None, 2**70, [1]],
    "length": [0, -5, False, 2**40, 10**30, "9", None],
    "sha256": ["", "0" * 63, "x" * 64, " " + "0" * 63, " 0" * 32, 3, None, "0" * 65],
    "meta": [None, [], "label", 3, {}, *({"label": y} for y in (True, -1, 1.0, "0", None, 2**31, 10**30, [0])),
             *({"label": 0, "context": a} for a in (1, True, -1, "x"))],
    "format": ["png ", "webp", None, 3, ["png"]],
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, odd in ODD.items() for value in odd], ids=repr)
def test_one_odd_value_anywhere_refuses_the_index(folder, field, value):
    rewrite(folder, lambda rows: [row if i != 3 else {**row, field: value} for i, row in enumerate(rows)])
    with pytest.raises(InputError, match=r"index.jsonl is damaged; run"):
        Shards(folder)


@pytest.mark.parametrize("field", ["key", "shard", "offset", "length", "sha256", "meta"])
def test_a_lacking_field_refuses_the_index(folder, field):
    rewrite(folder, lambda rows: [*rows[:6], {name: rows[6][name] for name in rows[6] if name != field}])
    with pytest.raises(InputError, match=r"index.jsonl is damaged"):
        Shards(folder)


def test_lines_twice_or_out_of_order_refuse_the_index(folder):
    for change in (lambda rows: [*rows, rows[-1]], lambda rows: rows[::-1], lambda rows: []):
        rewrite(folder, change)
        with pytest.raises(InputError, match=r"index.jsonl is damaged"):
            Shards(folder)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_an_index_with_any_bytes_changed_is_read_or_refused_in_a_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    write_all(folder, samples(2))
    text = bytearray((folder / "index.jsonl").read_bytes())
    start = data.draw(st.integers(0, len(text)))
    text[start : start + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=12))
    (folder / "index.jsonl").write_bytes(text)
    try:
        shards = Shards(folder)
        for i in range(len(shards)):
            assert shards.meta(i)["label"] == shards.labels[i]
            shards.image(i)
    except InputError as error:
        assert str(folder) in str(error)


def test_many_blocks_of_lines_read_like_one(tmp_path, monkeypatch):
    write_all(tmp_path, [(samples(1)[0][0], {"label": i, "context": i % 3}) for i in range(23)], 5)
    whole = Shards(tmp_path)
    monkeypatch.setattr("src.shards.index.LINES", 4)
    parts = Shards(tmp_path)
    assert parts.labels.tolist() == whole.labels.tolist() == list(range(23))
    assert parts.contexts.tolist() == [i % 3 for i in range(23)]
    assert [parts.meta(i) for i in range(23)] == [whole.meta(i) for i in range(23)]


def test_metadata_read_later_is_that_of_the_index_that_was_read_or_refused(folder):
    shards = Shards(folder)
    data = pickle.dumps(shards)
    (folder / "index.jsonl").rename(folder / "old")
    shifted = (folder / "old").read_text().replace('{"key": "0000000', '{"key": "0000001')
    for text in ("{}\n" * 999, shifted):  # lines of other lengths, and of the same
        (folder / "index.jsonl").write_text(text)
        assert shards.meta(4)["prompt"] == "a photo of 4"
        with pytest.raises(InputError, match="has changed since it was read"):
            pickle.loads(data).meta(4)


def test_shards_linked_elsewhere_as_dvc_does_are_read_and_verified(folder, tmp_path):
    (tmp_path / "cache").mkdir()
    target = (folder / shard_name(0)).rename(tmp_path / "cache" / "5d41")
    (folder / shard_name(0)).symlink_to(target)
    assert damaged(folder) == {} and np.array_equal(Shards(folder).image(0), samples(1)[0][0])
    (folder / shard_name(0)).unlink()
    (folder / shard_name(0)).symlink_to("/etc/hostname")
    with pytest.raises(InputError, match=r"shard-00000.tar is damaged at sample 00000000"):
        Shards(folder).image(0)


@pytest.mark.parametrize("image", [b"no image", b"", png(4096, 4097), png(2**31 - 1, 2**31 - 1), png(0, 0), png(9, 9)])
def test_bytes_that_are_no_image_or_claim_a_huge_one_are_refused_undecoded(tmp_path, image):
    atomic_write(tmp_path / shard_name(0), pack(0, [(image or b"?", {"label": 0})], "png"))
    write_index(tmp_path)
    with pytest.raises(InputError, match=r"shard-00000.tar holds an unreadable image at sample 00000000: ") as error:
        Shards(tmp_path).image(0)
    assert ("beyond the 16 Mi" in str(error.value)) == (image in (png(4096, 4097), png(2**31 - 1, 2**31 - 1)))
    assert MOST_PIXELS == 2**24


def test_a_jpeg_that_claims_a_huge_size_is_refused(tmp_path):
    write_all(tmp_path, samples(1), image_format="jpeg")
    data = encode(samples(1)[0][0], "jpeg")
    frame = data.index(b"\xff\xc0") + 5
    huge = data[:frame] + struct.pack(">HH", 65500, 65500) + data[frame + 4 :]
    shard = (tmp_path / shard_name(0)).read_bytes().replace(data, huge)
    (tmp_path / shard_name(0)).write_bytes(shard)
    rewrite(tmp_path, lambda rows: [{**rows[0], "sha256": hashlib.sha256(huge).hexdigest()}])
    with pytest.raises(InputError, match="65500 x 65500 pixels is beyond"):
        Shards(tmp_path).image(0)


def test_every_damaged_byte_of_an_image_is_found_and_its_sample_named(tmp_path):
    write_all(tmp_path, samples(3))
    path, sound = tmp_path / shard_name(0), (tmp_path / shard_name(0)).read_bytes()
    shards, line = Shards(tmp_path), json.loads((tmp_path / "index.jsonl").read_text().splitlines()[1])
    for place in range(line["offset"], line["offset"] + line["length"]):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << place % 8]) + sound[place + 1 :])
        with pytest.raises(InputError, match=r"shard-00000.tar is damaged at sample 00000001"):
            shards.image(1)
        if place % 8 == 0:
            assert damaged(tmp_path) == {shard_name(0): "is damaged at sample 00000001"}


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10239), bit=st.integers(0, 7))
def test_a_changed_bit_anywhere_in_a_shard_is_found(tmp_path_factory, place, bit):
    folder = tmp_path_factory.mktemp("bit")
    write_all(folder, samples(4), 2)
    data = bytearray((folder / shard_name(1)).read_bytes())
    data[place] ^= 1 << bit
    (folder / shard_name(1)).write_bytes(data)
    assert len(data) == 10240 and list(damaged(folder)) == [shard_name(1)]


def test_a_lost_folder_comes_back_from_dvc_and_a_lost_file_by_repair(folder):
    with pytest.raises(InputError, match=r"none/index.jsonl is missing; run `dvc checkout` or `dvc repro`$"):
        Shards(folder.with_name("none"))
    (folder / "index.jsonl").unlink()
    with pytest.raises(InputError, match=r"set/index.jsonl is missing; run `make repair`$"):
        Shards(folder)


def test_all_damaged_shards_are_named_each_with_what_is_wrong(folder):
    assert damaged(folder) == {}
    (folder / shard_name(0)).unlink()
    data = (folder / shard_name(2)).read_bytes()
    (folder / shard_name(2)).write_bytes(data[:600])
    assert damaged(folder) == {
        shard_name(0): "is missing",
        shard_name(2): f"has 600 bytes instead of {len(data)}",
    }
    (folder / shard_name(2)).write_bytes(data + b"more")
    assert damaged(folder)[shard_name(2)] == f"has {len(data) + 4} bytes instead of {len(data)}"
    (folder / "index.jsonl").unlink()
    with pytest.raises(InputError, match=r"index.jsonl is missing"):
        damaged(folder)
