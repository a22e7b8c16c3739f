"""Copies are known by content: saved or shrunk again they are the same image, and no leak between splits."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import cKDTree
from sklearn.datasets import load_digits, load_sample_images

from src.data.duplicates import TOGETHER, _pairs, originals, sketch
from src.data.prepared_data import PreparedData
from src.runtime.errors import InputError
from tests.data import loading
from tests.data.pictures import noise, photographs, save

SETTINGS = {
    "name": "own", "kind": "folder", "image_size": 16, "val_fraction": 0.2, "test_fraction": 0.2,
    "skip_unreadable": False, "long_tail": None,
}  # fmt: skip
CHINA, FLOWER = load_sample_images().images


def as_jpeg(image: np.ndarray, quality: int, width: int | None = None) -> np.ndarray:
    picture, data = Image.fromarray(image), io.BytesIO()
    if width is not None:
        picture = picture.resize((width, round(width * image.shape[0] / image.shape[1])), Image.Resampling.BICUBIC)
    picture.save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(data).convert("RGB"))


@pytest.mark.parametrize("photograph", [CHINA, FLOWER], ids=["china", "flower"])
@pytest.mark.parametrize(("quality", "width"), [(90, None), (50, None), (20, None), (75, 320), (75, 100)])
def test_a_photograph_saved_or_shrunk_again_is_the_same(photograph, quality, width) -> None:
    pictures = [photograph, CHINA[::-1], as_jpeg(photograph, quality, width)]
    assert originals([sketch(picture) for picture in pictures]).tolist() == [0, 1, 0]


@pytest.mark.parametrize("change", [lambda x: x[:, ::-1], lambda x: x[10:, 10:], lambda x: x[:, :-60]])
def test_a_photograph_turned_or_cropped_is_another(change) -> None:
    assert originals([sketch(CHINA), sketch(change(CHINA))]).tolist() == [0, 1]


def test_small_and_dark_images_are_not_taken_for_each_other() -> None:
    digits = [np.repeat((image * 15).astype(np.uint8)[..., None], 3, 2) for image in load_digits().images]
    for images in (digits, [image // 8 for image in digits]):
        assert originals([sketch(image) for image in images]).tolist() == list(range(len(digits)))


def test_a_copy_of_a_copy_is_one_and_the_first_is_the_original() -> None:
    chain = [noise(seed=1), *(np.full((16, 16, 3), level, np.uint8) for level in (100, 101, 102, 110))]
    assert all(abs(int(a.mean()) - int(b.mean())) <= 10 for a, b in pairwise(chain[1:]))
    assert originals([sketch(image) for image in chain]).tolist() == [0, 1, 2, 3, 4]  # flat images: equal or not
    same = [sketch(image) for image in (noise(seed=1), CHINA, noise(seed=1), as_jpeg(CHINA, 50), as_jpeg(CHINA, 20))]
    assert originals(same).tolist() == [0, 1, 0, 1, 1]
    assert originals([]).tolist() == []


def test_every_pair_is_looked_at_once_however_many_there_are() -> None:
    """Where all images are near each other there is no room for all pairs at once."""
    points = np.random.default_rng(0).random((150, 3))
    for radius in (0.2, 2.0):
        found = np.concatenate([*_pairs(points, radius)]).tolist()
        assert sorted(map(tuple, found)) == sorted(cKDTree(points).query_pairs(radius))
    assert max(map(len, _pairs(np.zeros((5000, 1)), 1.0))) == TOGETHER


def load(root: Path, seed: int = 0) -> PreparedData:
    return loading.load({**SETTINGS, "path": str(root)}, seed)


def split_of(data: PreparedData) -> dict[str, str]:
    return {name: split for split in ("train", "val", "test") for name in data.splits[split].ids}


@pytest.mark.parametrize("seed", range(5))
def test_copies_stay_in_one_split_and_are_listed(tmp_path, seed) -> None:
    pairs = {f"{name}/{i}.png": f"{name}/{i} again.bmp" for name in ("cat", "dog") for i in range(9)}
    for number, name in enumerate(("cat", "dog")):
        photographs(tmp_path / "own" / name, 9, number)
    for one, other in pairs.items():
        Image.open(tmp_path / "own" / one).save(tmp_path / "own" / other)
    data = load(tmp_path / "own", seed)
    split = split_of(data)
    assert len(split) == 36 and {name: len(part) for name, part in data.splits.items()} == {
        "train": 28, "val": 4, "test": 4, "pool": 28
    }  # fmt: skip
    assert all(split[one] == split[other] for one, other in pairs.items())
    assert data.copies == pairs  # '0 again.bmp' sorts before '0.png'
    assert data.record({})["copies"] == data.copies


def test_a_copy_of_a_test_image_is_not_trained_on(tmp_path) -> None:
    for split, count in (("train", 6), ("val", 2), ("test", 2)):
        for number, name in enumerate(("cat", "dog")):
            photographs(tmp_path / "own" / split / name, count, 10 * len(split) + number)
    for source, target in (("test/cat/0.png", "train/cat/x.png"), ("test/cat/0.png", "val/cat/x.png"),
                           ("val/dog/1.png", "train/dog/y.png")):  # fmt: skip
        (tmp_path / "own" / target).write_bytes((tmp_path / "own" / source).read_bytes())
    data = load(tmp_path / "own")
    assert {name: len(part) for name, part in data.splits.items()} == {"train": 12, "val": 4, "test": 4, "pool": 12}
    assert not {"train/cat/x.png", "val/cat/x.png", "train/dog/y.png"} & split_of(data).keys()
    assert set(data.copies) | set(data.copies.values()) == {
        "test/cat/0.png", "train/cat/x.png", "val/cat/x.png", "train/dog/y.png", "val/dog/1.png"
    }  # fmt: skip


def test_one_image_under_two_labels_is_refused_by_both_its_names(tmp_path) -> None:
    for number, name in enumerate(("cat", "dog")):
        photographs(tmp_path / "own" / name, 6, number)
    for i in range(12):
        part = FLOWER[100 * (i // 4) :, 150 * (i % 4) :][:100, :150]
        save(tmp_path / f"own/cat/c{i:02d}.png", part)
        save(tmp_path / f"own/dog/d{i:02d}.jpg", part, quality=80)
    with pytest.raises(InputError, match=r"same image under two labels \('dog/d00.jpg' and 'cat/c00.png'.*2 more") as e:
        load(tmp_path / "own")
    assert len(e.value.every) == 12
