"""Copies of training images among those that judge, where published splits stay as they are."""

import numpy as np
import pytest

from src.data import leaks
from src.data.datasets import PUBLISHED


def splits(test):
    draw = np.random.default_rng(0)
    train, val = draw.integers(0, 256, (2, 5, 16, 16, 3), np.uint8)
    own = draw.integers(0, 256, (2, 16, 16, 3), np.uint8)
    images = {"pool": train, "val": val, "test": np.concatenate([own, test(train, val)])}
    return {name: (part, [f"{name}/{i}" for i in range(len(part))]) for name, part in images.items()}


@pytest.mark.parametrize("large", [0, 100])
def test_a_copy_in_another_split_is_named_with_its_original(large, monkeypatch):
    monkeypatch.setattr(leaks, "LARGE", large)
    (words,) = leaks.leaks(splits(lambda train, val: np.stack([train[3], val[1]])))
    assert words.startswith("2 images of the test split are copies of images of another one ('test/2' of 'pool/3'")
    assert "'test/3' of 'val/1'" in words
    assert list(leaks.leaks(splits(lambda train, val: train[:0]))) == []


def test_a_copy_that_was_saved_again_is_told_among_few_images_alone(monkeypatch):
    noisy = splits(lambda train, val: train[:1] ^ 1)
    assert len(list(leaks.leaks(noisy))) == 1
    monkeypatch.setattr(leaks, "LARGE", 0)
    assert list(leaks.leaks(noisy)) == []


def test_data_sets_that_move_copies_themselves_or_are_drawn_are_not_asked():
    assert {"cifar100_lt", "imagenet_lt", "utkface", "waterbirds"} <= PUBLISHED
    assert not PUBLISHED & {"digits", "grouped_digits", "folder", "csv"}
