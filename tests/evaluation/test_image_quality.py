"""Quality per arm, space and shot: perfect for the same images, null where there are too few."""

import math

import numpy as np
import pytest

from src.evaluation.image_quality import compare, in_every_space, quality
from src.runtime.errors import InputError

COUNTS = [200, 50, 5, 5]  # many, medium, few, few
LABELS = np.repeat(np.arange(4), 20)


def features(seed: int, shift: float = 0.0) -> np.ndarray:
    """80 features (80, 6) that lie around their class's place."""
    return np.random.default_rng(seed).normal(size=(80, 6)) + 3 * LABELS[:, None] + shift


def test_the_real_images_themselves_are_perfect():
    report = compare(features(0), features(0), nearest_k=5)
    assert report["fid"] == pytest.approx(0, abs=1e-9)
    assert (report["coverage"], report["precision"], report["recall"]) == (1, 1, 1)
    assert report["density"] >= 1
    assert (report["real_images"], report["synthetic_images"]) == (80, 80)


def test_images_from_elsewhere_are_far_and_cover_nothing():
    report = compare(features(0), features(1, shift=100), nearest_k=5)
    assert report["fid"] > 10_000
    assert (report["density"], report["coverage"], report["precision"], report["recall"]) == (0, 0, 0, 0)


def test_recall_is_precision_with_the_sides_exchanged():
    one, other = features(0), features(1)[:40]
    assert compare(one, other, 5)["recall"] == compare(other, one, 5)["precision"]


def test_a_shot_is_judged_on_its_own_classes():
    real, fake = features(0), features(1)
    fake[LABELS >= 2] += 50  # only the rare classes go wrong
    report = quality((real, LABELS), (fake, LABELS), COUNTS, nearest_k=5)
    assert report["few"]["coverage"] == 0 < report["many"]["coverage"]
    assert report["few"]["real_images"] == 40
    assert report["many"] == compare(real[LABELS == 0], fake[LABELS == 0], 5)


def test_a_shot_with_too_few_images_is_null_on_either_side():
    kept = np.flatnonzero(LABELS != 1)
    some = features(0)[kept], LABELS[kept]
    every = features(0), LABELS
    for real, fake in ((some, every), (every, some)):
        report = quality(real, fake, COUNTS, nearest_k=5)
        assert report["medium"] is None and report["many"] is not None
    assert quality(every, every, [50] * 4, 5)["few"] is None


@pytest.mark.parametrize(("images", "told"), [(5, False), (6, True)])
def test_a_shot_has_to_have_more_images_than_neighbours_are_looked_for_on_either_side(images, told):
    kept = np.r_[0:20, 20 : 20 + images, 40:80]
    some = features(0)[kept], LABELS[kept]
    every = features(1), LABELS
    for real, fake in ((some, every), (every, some)):
        assert (quality(real, fake, COUNTS, nearest_k=5)["medium"] is not None) == told


def test_every_arm_is_compared_with_the_real_images_of_its_space():
    spaces = {
        "plain": {"real": features(0), "good": features(0), "bad": features(1, shift=9)},
        "wide": {"real": 100 * features(0), "good": 100 * features(0), "bad": 100 * features(1, shift=9)},
    }
    report = in_every_space(spaces, dict.fromkeys(("real", "good", "bad"), LABELS), COUNTS, nearest_k=5)
    assert list(report) == ["good", "bad"] and list(report["bad"]) == ["plain", "wide"]
    bad = [report["bad"][space]["overall"] for space in ("plain", "wide")]
    assert math.isclose(bad[1]["fid"], 100**2 * bad[0]["fid"], rel_tol=1e-6)
    assert bad[0]["coverage"] == bad[1]["coverage"]


def test_a_neighbourhood_that_no_set_can_fill_is_refused():
    labels = {"real": LABELS, "arm": LABELS[:10]}
    spaces = {"plain": {"real": features(0), "arm": features(1)[:10]}}
    with pytest.raises(InputError, match="below the 10 images of 'arm'"):
        in_every_space(spaces, labels, COUNTS, nearest_k=10)
