"""Splits become shards: streamed, the same bytes after an interruption, hashed as they are stored."""

from pathlib import Path

import numpy as np
import pytest

from src.data import split_writer
from src.data.prepared_data import ImageSource, PreparedData
from src.data.split_writer import fingerprint, write_splits
from src.data.splits import split_hash
from src.runtime.errors import InputError
from src.shards.store import Shards, shard_name
from tests.data.pictures import noise
from tests.micro import digests


def source(name: str, count: int, read=None, contexts: bool = True) -> ImageSource:
    return ImageSource(
        tuple(f"{name}/{i}" for i in range(count)),
        np.arange(count) % 3,
        read or (lambda i: noise(seed=i)),
        np.arange(count) % 2 if contexts else None,
    )


def data(count: int = 23, **how) -> PreparedData:
    train = source("train", count, **how)
    splits = {"train": train, "val": source("val", 4), "test": source("test", 3), "pool": train}
    return PreparedData(splits, ("a", "b", "c"), ("x", "y"))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(split_writer, "SHARD_SIZE", 5)
    monkeypatch.setattr(split_writer, "TOGETHER", 4)


def test_every_image_is_stored_in_order_at_one_size_with_what_is_known_of_it(tmp_path):
    write_splits(data(), 8, tmp_path, with_ids=True)
    shards = Shards(tmp_path / "train")
    assert shards.images().shape == (23, 8, 8, 3)
    assert np.array_equal(shards.image(7), split_writer.shrunk(noise(seed=7), 8, 2))
    assert shards.meta(7) == {"label": 1, "context": 1, "id": "train/7"}
    assert shards.contexts.tolist() == (np.arange(23) % 2).tolist()
    assert len(list((tmp_path / "train").glob("*.tar"))) == 5


def test_what_is_trained_on_keeps_its_long_side_for_random_crops_and_what_is_judged_is_square(tmp_path):
    wide = data(count=6, read=lambda i: noise(24, 36 if i % 2 else 90, seed=i))
    wide.splits["val"] = source("val", 4, read=lambda i: noise(24, 36, seed=i))
    write_splits(wide, 8, tmp_path, with_ids=True)
    train, val = Shards(tmp_path / "train"), Shards(tmp_path / "val")
    assert [train.image(i).shape for i in range(2)] == [(8, 16, 3), (8, 12, 3)]
    assert {val.image(i).shape for i in range(4)} == {(8, 8, 3)}
    assert train.images().shape == (6, 8, 8, 3) and not isinstance(train.images(), np.ndarray)
    assert np.array_equal(train.images()[1], train.image(1)[:, 2:10])  # what everything but random crops sees


def test_without_ids_and_contexts_only_the_label_is_stored(tmp_path):
    write_splits(data(contexts=False), 8, tmp_path, with_ids=False)
    assert Shards(tmp_path / "train").meta(7) == {"label": 1} and Shards(tmp_path / "train").contexts is None


def test_the_hash_is_that_of_the_stored_pixels_whatever_their_order(tmp_path):
    hashes = write_splits(data(), 8, tmp_path, with_ids=True)
    for name in ("train", "val", "test", "pool"):
        shards = Shards(tmp_path / name)
        assert hashes[name] == split_hash(shards.image(i).tobytes() for i in reversed(range(len(shards))))
    assert hashes["pool"] == hashes["train"] != hashes["val"]


def test_a_pool_that_is_the_training_split_is_read_once(tmp_path):
    read = []
    write_splits(data(read=lambda i: read.append(i) or noise(seed=i)), 8, tmp_path, with_ids=True)
    assert sorted(read) == list(range(23))
    assert list(digests(tmp_path / "pool").values()) == list(digests(tmp_path / "train").values())


def test_an_interrupted_run_continues_and_ends_with_the_same_bytes(tmp_path):
    read = []

    def fails(i: int) -> np.ndarray:
        if i == 17:
            raise InputError("17.jpg cannot be read")
        return noise(seed=i)

    with pytest.raises(InputError, match=r"17.jpg"):
        write_splits(data(read=fails), 8, tmp_path / "part", with_ids=True)
    assert len(list((tmp_path / "part" / "train").iterdir())) == 3
    again = write_splits(data(read=lambda i: read.append(i) or noise(seed=i)), 8, tmp_path / "part", with_ids=True)
    assert min(read) == 15
    assert again == write_splits(data(), 8, tmp_path / "whole", with_ids=True)
    whole = {str(Path(k).relative_to(tmp_path / "whole")): v for k, v in digests(tmp_path / "whole").items()}
    assert {str(Path(k).relative_to(tmp_path / "part")): v for k, v in digests(tmp_path / "part").items()} == whole


def test_a_shard_that_changed_since_it_was_finished_or_was_never_finished_is_made_again(tmp_path):
    write_splits(data(), 8, tmp_path / "whole", with_ids=True)
    write_splits(data(), 8, tmp_path / "part", with_ids=True)
    first, second, third = (tmp_path / "part" / "train" / shard_name(k) for k in range(3))
    changed = bytearray(first.read_bytes())
    changed[600] ^= 1
    first.write_bytes(changed)
    second.write_bytes(second.read_bytes()[:-1])
    (tmp_path / "part" / split_writer.SUMS / "train" / "00002").unlink()
    third.write_bytes(b"half")
    read = []
    write_splits(data(read=lambda i: read.append(i) or noise(seed=i)), 8, tmp_path / "part", with_ids=True)
    assert sorted(read) == list(range(15))
    assert list(digests(tmp_path / "part").values()) == list(digests(tmp_path / "whole").values())


def test_a_fingerprint_names_images_labels_and_contexts_and_reads_nothing():
    def never(i: int) -> np.ndarray:
        raise AssertionError

    base = fingerprint(data(read=never), "")
    assert base == fingerprint(data(), "")
    others = [(data(22), ""), (data(contexts=False), ""), (data(), "other files")]
    assert len({base, *(fingerprint(*other) for other in others)}) == 4
    relabelled = data()
    relabelled.splits["train"].labels[0] = 2
    assert fingerprint(relabelled, "") != base


def test_a_split_that_loses_shards_while_it_is_filled_is_not_indexed_as_if_it_were_whole(tmp_path, monkeypatch):
    """As when another process publishes the same folder: what came later once passed for all there is."""
    write = split_writer.write_encoded

    def publishing(path: Path, first: int, *more) -> str:
        digest = write(path, first, *more)
        if first == 10:
            for shard in path.parent.glob("shard-*.tar"):
                shard.unlink()
        return digest

    monkeypatch.setattr(split_writer, "write_encoded", publishing)
    with pytest.raises(InputError, match=r"run the stage again|missing"):
        write_splits(data(), 8, tmp_path, with_ids=True)
