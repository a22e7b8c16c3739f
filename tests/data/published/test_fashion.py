"""Fashion-MNIST with a long tail: splits share no photograph under any seed, and files are what they say."""

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from src.data.imbalance import exponential_counts
from src.data.prepared_data import ImageSource, PreparedData
from src.data.published import fashion, fashion_files
from src.data.published.fashion import FOR_SPLITS, FRAMED, for_generators, framed
from src.data.published.fashion_files import CLASSES, OFFICIAL, SHEETS, SIDE, read_official, read_sheet, sheet_of
from src.runtime.errors import InputError
from tests.data.loading import load
from tests.data.published.official import FASHION, official
from tests.micro import PARAMS

PRESET = PARAMS["datasets"]["fashion_lt"]
SETTINGS = {"name": "fashion_lt", **PRESET, "path": str(FASHION)}
SEEDS = [*range(5), *range(100, 110), 2**31]


def hashes(images: np.ndarray) -> set[str]:
    """Of photographs (..., SIDE, SIDE), by their pixels."""
    return {hashlib.sha256(image.tobytes()).hexdigest() for image in images.reshape(-1, SIDE, SIDE)}


def pixels(source: ImageSource) -> set[str]:
    """The same of a split's photographs, without their frames and in one channel."""
    margin = slice((FRAMED - SIDE) // 2, (FRAMED + SIDE) // 2)
    return hashes(np.stack([source.read(i)[margin, margin, 0] for i in range(len(source))]))


@pytest.fixture(scope="module")
def default() -> PreparedData:
    return load(SETTINGS)


@pytest.fixture(scope="module")
def fixed(default) -> dict[str, set[str]]:
    """The photographs of the splits that no seed changes."""
    return {name: pixels(default.splits[name]) for name in ("val", "test", "pool")}


def test_splits_have_the_sizes_that_the_preset_asks_for_and_all_but_train_are_balanced(default):
    data = default
    assert data.counts == exponential_counts(500, 10, 100) == [500, 299, 179, 107, 64, 38, 23, 13, 8, 5]
    for name in ("val", "test", "pool"):
        assert np.bincount(data.splits[name].labels).tolist() == [PRESET[f"{name}_per_class"]] * 10
    assert data.class_names == CLASSES
    for source in data.splits.values():
        assert [CLASSES.index(name.split("/")[1]) for name in source.ids] == source.labels.tolist()
        assert len(set(source.ids)) == len(source)


def test_no_photograph_is_in_two_splits(fixed):
    assert {name: len(found) for name, found in fixed.items()} == {"val": 2000, "test": 10_000, "pool": 10_000}
    assert not fixed["val"] & fixed["test"] and not fixed["pool"] & (fixed["val"] | fixed["test"])


@pytest.mark.parametrize("seed", SEEDS)
def test_every_seed_draws_its_own_tail_from_the_same_pool_and_is_judged_by_the_same_images(seed, default, fixed):
    data = load(SETTINGS, seed)
    for name in fixed:
        assert data.splits[name].ids == default.splits[name].ids
    train = data.splits["train"]
    found = pixels(train)
    assert found <= fixed["pool"] and len(found) == len(train)
    assert (train.ids == default.splits["train"].ids) == (seed == 0)


@pytest.mark.parametrize("factor", [10, 50, 200])
def test_other_factors_change_the_tail_alone_and_a_milder_one_contains_a_harder(factor, default):
    other = load({**SETTINGS, "imbalance_factor": factor}).splits
    assert np.bincount(other["train"].labels).tolist() == exponential_counts(500, 10, factor)
    small, large = sorted((set(default.splits["train"].ids), set(other["train"].ids)), key=len)
    assert small < large
    assert all(default.splits[name].ids == other[name].ids for name in ("val", "test", "pool"))


def test_an_image_is_a_photograph_in_a_black_frame_in_grey(default):
    image = default.splits["val"].read(5)
    assert image.shape == (FRAMED, FRAMED, 3) and image.dtype == np.uint8
    sheet = read_sheet(FASHION, "train")
    assert sheet is not None and (image == framed(sheet[0, 5])[..., None]).all()
    assert image[2:-2, 2:-2].sum() == image.sum() > 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"pool_per_class": 1801}, "asks for 2001 training images a class, and only 2000 are for splits; lower"),
        ({"head_count": 1001}, "class 0 has 1000 training images, not 1001; lower the head count"),
        ({"imbalance_factor": 501}, "leaves class 9 without a training image"),
        ({"val_per_class": 0}, "val_per_class must be at least 1"),
    ],
)
def test_settings_that_the_data_cannot_meet_are_refused(change, problem):
    with pytest.raises(InputError, match=problem):
        load({**SETTINGS, **change})


def test_more_than_ships_asks_for_the_official_files(tmp_path):
    (tmp_path / SHEETS["train"]).write_bytes(sheet_of(made(3), 3))
    few = {"val_per_class": 1, "pool_per_class": 2, "test_per_class": 1, "head_count": 2, "imbalance_factor": 1}
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte\.gz is missing; data/raw/fashion_lt/SOURCE\.md says"):
        load({**SETTINGS, "path": str(tmp_path), **few})
    (tmp_path / SHEETS["test"]).write_bytes(sheet_of(made(3), 3))
    assert load({**SETTINGS, "path": str(tmp_path), **few}).counts == [2] * 10
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz is missing"):
        load({**SETTINGS, "path": str(tmp_path), **few, "pool_per_class": 3})


def made(each: int) -> np.ndarray:
    """Noise for photographs."""
    return np.random.default_rng(0).integers(0, 256, (len(CLASSES), each, SIDE, SIDE), dtype=np.uint8)


def test_a_sheet_gives_back_what_was_laid_out(tmp_path):
    photographs = made(6)
    (tmp_path / SHEETS["test"]).write_bytes(sheet_of(photographs, 4))
    assert np.array_equal(read_sheet(tmp_path, "test"), photographs)
    assert read_sheet(tmp_path, "train") is None


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda data: data[: len(data) // 2], "cannot be read as an image"),
        (lambda data: sheet_of(made(3)[:7], 7), "is no sheet of"),
    ],
)
def test_a_sheet_that_is_not_whole_is_refused_by_its_name(spoil: Callable[[bytes], bytes], problem: str, tmp_path):
    path = tmp_path / SHEETS["train"]
    path.write_bytes(spoil(sheet_of(made(2), 2)))
    with pytest.raises(InputError, match=rf"train\.png {problem}"):
        read_sheet(tmp_path, "train")


def write_idx(folder: Path, packed: bool, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Training files of two photographs a class, mixed, with the sums that are asked for; what must be read of them."""
    photographs = made(2).reshape(-1, SIDE, SIDE)
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(10, dtype=np.uint8), 2))
    contents = (
        bytes.fromhex("00000803 00000014 0000001c 0000001c") + photographs.tobytes(),
        bytes.fromhex("00000801 00000014") + labels.tobytes(),
    )
    for name, content in zip(OFFICIAL["train"], contents, strict=True):
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)
        monkeypatch.setitem(fashion_files.SUMS, name, (len(content), hashlib.sha256(content).hexdigest()))
    return np.stack([photographs[labels == k] for k in range(10)])


@pytest.mark.parametrize("packed", [True, False])
def test_official_files_are_read_by_class_in_their_order(packed, tmp_path, monkeypatch):
    expected = write_idx(tmp_path, packed, monkeypatch)
    assert np.array_equal(read_official(tmp_path, "train"), expected)


@pytest.mark.parametrize("packed", [True, False])
def test_a_queued_experiment_finds_the_official_files_of_the_main_repository(packed, tmp_path, monkeypatch):
    folder, copy = tmp_path / "main/data/raw/fashion_lt", tmp_path / "copy"
    folder.mkdir(parents=True)
    copy.mkdir()
    expected = write_idx(folder, packed, monkeypatch)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    few = fashion.FashionSettings(**{**SETTINGS, "path": None})
    assert np.array_equal(fashion.first_of(few, "train", 1), expected[:, :1])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!DOCTYPE html>",
        gzip.compress(b"other", mtime=0),
        gzip.compress(bytes(10**6), mtime=0)[:-9],
        b"\x1f\x8b\x08",
    ],
)
def test_a_file_that_is_another_is_refused_by_its_name(content, tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz is not Fashion-MNIST's file; data/raw"):
        read_official(tmp_path, "train")


@official
@pytest.mark.parametrize("split", SHEETS)
def test_what_ships_is_the_first_of_what_the_official_files_hold(split):
    shipped, whole = read_sheet(FASHION, split), read_official(FASHION, split)
    assert shipped is not None and shipped.shape[1] == {"train": 1200, "test": 1000}[split]
    assert np.array_equal(shipped, whole[:, : shipped.shape[1]])


@official
def test_more_than_ships_is_read_from_the_official_files_and_the_rest_stays_the_same(default):
    more = load({**SETTINGS, "pool_per_class": 1800, "head_count": 1500}).splits
    assert np.bincount(more["pool"].labels).tolist() == [1800] * 10
    assert more["val"].ids == default.splits["val"].ids and set(default.splits["pool"].ids) < set(more["pool"].ids)


@official
def test_the_generator_s_photographs_are_in_no_split_under_any_settings():
    train, test = hashes(read_official(FASHION, "train")[:, :FOR_SPLITS]), hashes(read_official(FASHION, "test"))
    others = hashes(for_generators(FASHION))
    assert len(train) == 20_000 and len(test) == 10_000 and len(others) == 39_890
    assert not others & (train | test)


def test_a_generator_sees_no_photograph_that_a_split_may_have_again(monkeypatch):
    """Two of class 1: the same product as one of training, a little brighter, and as one of test, of another class."""
    draw = np.random.default_rng(0)
    coarse = {split: draw.integers(0, 200, (10, n, 7, 7)) for split, n in (("train", 9), ("test", 2))}
    found = {split: np.kron(x, np.ones((4, 4))).astype(np.uint8) for split, x in coarse.items()}
    found["train"][1, 5] = found["train"][1, 0] + 2
    found["train"][1, 8] = found["test"][7, 1] + 2
    monkeypatch.setattr(fashion, "read_official", lambda folder, split: found[split])
    monkeypatch.setattr(fashion, "FOR_SPLITS", 3)
    photographs = for_generators(Path("anywhere"))
    assert photographs.shape == (10, 4, 28, 28)
    assert np.array_equal(photographs[1], found["train"][1, [3, 4, 6, 7]])
    assert np.array_equal(photographs[0], found["train"][0, 3:7])
