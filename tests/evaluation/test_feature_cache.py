"""Kept features are those that would be computed; they are found again only for the same images and network."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from src.classifiers.features import classifier_features, extract
from src.classifiers.models import build
from src.evaluation import feature_cache
from src.evaluation.feature_cache import cached_features
from src.evaluation.image_quality import compare
from src.runtime.errors import InputError

IMAGES = np.random.default_rng(1).integers(256, size=(30, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path / ".dvc" / "tmp" / "features"


class Counting:
    """A network of one layer that counts the images it has seen."""

    def __init__(self, seed: int = 0) -> None:
        self.weight = torch.randn(8 * 8 * 3, 5, generator=torch.Generator().manual_seed(seed))
        self.seen = 0

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        return x.flatten(1) @ self.weight


def computed(network: Counting, images: np.ndarray = IMAGES, name: str = "space") -> bool:
    """Whether the features were computed anew (beyond the two noise images that tell networks apart)."""
    before = network.seen
    cached_features(name, network, images)
    return network.seen - before > 2


def test_the_second_time_nothing_is_computed_and_the_features_are_the_same(folder) -> None:
    network = Counting()
    first = np.array(cached_features("space", network, IMAGES, batch=7))
    assert first.dtype == np.float32 and np.array_equal(first, extract(network, IMAGES, batch=7))
    assert not computed(network)
    again = cached_features("space", network, IMAGES)
    assert isinstance(again, np.memmap) and np.array_equal(first, again)
    assert sorted(path.suffix for path in folder.iterdir()) == [".npy", ".sha256"]


def test_features_of_another_arithmetic_are_not_taken(monkeypatch) -> None:
    network = Counting()
    assert computed(network) and not computed(network)
    monkeypatch.setenv("ARITHMETIC", "native")
    assert computed(network)
    monkeypatch.delenv("ARITHMETIC")
    monkeypatch.setitem(feature_cache.PINNED, "MKL_CBWR", "AVX2")
    assert computed(network)


def test_results_do_not_depend_on_the_cache() -> None:
    network = classifier_features(build("small_cnn", 4, 8, seed=0))
    sets = IMAGES[:16], IMAGES[16:]
    without = compare(*(extract(network, images) for images in sets), nearest_k=3)
    for _ in range(2):
        assert compare(*(cached_features("space", network, images) for images in sets), nearest_k=3) == without


def test_other_images_networks_and_spaces_have_other_features() -> None:
    network = Counting()
    assert computed(network)
    assert computed(network, IMAGES[:-1]) and computed(network, 255 - IMAGES) and computed(network, name="other")
    assert computed(Counting(seed=1))
    assert not computed(network) and not computed(Counting())


def spoil(change: Callable[[bytearray], bytes]) -> Callable[[Path], None]:
    return lambda path: (path.write_bytes(change(bytearray(path.read_bytes()))), None)[1]


def flip(data: bytearray) -> bytes:
    data[-1] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".npy", spoil(flip)),
        (".npy", spoil(lambda data: bytes(data[:-40]))),
        (".npy", spoil(lambda data: b"")),
        (".npy", Path.unlink),
        (".sha256", Path.unlink),
        (".sha256", spoil(lambda data: b"\xff\xfe")),
    ],
    ids=["one bit", "cut", "empty", "gone", "unconfirmed", "confused"],
)
def test_a_damaged_file_is_made_again(folder, suffix, damage) -> None:
    network = Counting()
    expected = np.array(cached_features("space", network, IMAGES))
    (path,) = folder.glob(f"*{suffix}")
    damage(path)
    assert computed(network)
    assert np.array_equal(cached_features("space", network, IMAGES), expected)


def test_an_interrupted_extraction_leaves_nothing_behind(folder) -> None:
    def fails(x: torch.Tensor) -> torch.Tensor:
        if len(x) != 2:
            raise KeyboardInterrupt
        return x.flatten(1)

    with pytest.raises(KeyboardInterrupt):
        cached_features("space", fails, IMAGES)
    assert list(folder.iterdir()) == []


def test_features_that_are_not_finite_name_their_space(folder) -> None:
    with pytest.raises(InputError, match="in the space 'broken' hold NaN or infinity"):
        cached_features("broken", lambda x: x.flatten(1) / 0, IMAGES)
    assert list(folder.iterdir()) == []


def test_features_lie_in_the_main_repository_or_else_in_the_working_directory(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("DVC_ROOT")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    cached_features("space", Counting(), IMAGES)
    assert len(list((tmp_path / "here" / ".dvc" / "tmp" / "features").iterdir())) == 2
