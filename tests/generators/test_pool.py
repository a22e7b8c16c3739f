"""The pool in a generator's place: real images that training does not have, any, the best or the nearest of several."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.shards.store import Shards, write_all
from src.synthesis.plan import PlannedImage
from src.synthesis.pool import PoolSynthesiser, drawn, spare_images

SPARE = {0: np.arange(0, 40, 2), 1: np.arange(1, 40, 2)}
VALUES = np.random.default_rng(0).normal(size=40)


def plan(per_class: int) -> list[PlannedImage]:
    return [PlannedImage(label, i, 1000 * label + i, "") for i in range(per_class) for label in (0, 1)]


def of(label: int, chosen: list[int]) -> list[int]:
    return chosen[label::2]


@pytest.mark.parametrize("candidates", [1, 5])
def test_no_image_is_taken_twice_before_all_of_its_class_have_been(candidates: int) -> None:
    chosen = drawn(plan(45), SPARE, VALUES, None, candidates)
    for label, own in SPARE.items():
        ours = of(label, chosen)
        assert sorted(ours[:20]) == sorted(ours[20:40]) == own.tolist() and ours[:20] != ours[20:40]
        assert len(set(ours[40:])) == 5
    assert drawn(plan(7), SPARE, VALUES, None, candidates) == chosen[:14]


def test_the_best_of_several_have_more_of_the_criterion_and_the_nearest_are_near() -> None:
    asked = plan(8)
    any_, best = (VALUES[drawn(asked, SPARE, VALUES, None, k)] for k in (1, 5))
    assert best.mean() > any_.mean() + 0.5
    aims = np.quantile(VALUES, np.linspace(0.1, 0.9, len(asked))).tolist()
    near = [np.abs(VALUES[drawn(asked, SPARE, VALUES, aims, k)] - aims).mean() for k in (1, 5)]
    assert near[1] < 0.5 * near[0]
    assert drawn(asked, SPARE, VALUES, None, 1) == drawn(asked, SPARE)  # any one needs no criterion


def test_an_image_without_a_finite_criterion_is_the_last_to_be_chosen() -> None:
    values = np.where(np.arange(40) % 4 == 0, np.nan, VALUES)
    chosen = of(0, drawn(plan(20), SPARE, values, None, 20))
    assert all(k % 4 for k in chosen[:10]) and not any(k % 4 for k in chosen[10:])


def test_spare_are_images_that_training_does_not_have_and_of_copies_one(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    of_pool = [(pixels[k], {"label": k % 2}) for k in (0, 1, 2, 3, 4, 2)]
    write_all(tmp_path / "pool", of_pool)
    write_all(tmp_path / "train", [(pixels[k], {"label": k % 2}) for k in (4, 1, 5)])
    pool, train = Shards(tmp_path / "pool"), Shards(tmp_path / "train")
    assert {k: own.tolist() for k, own in spare_images(pool, train).items()} == {0: [0, 2], 1: [3]}
    assert spare_images(train, train) == {}


def test_images_come_as_they_are_the_same_in_any_batch_and_say_where_from() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    asked, aims = plan(6), [0.0] * 12
    maker = PoolSynthesiser(images, SPARE, asked, torch.device("cpu"), VALUES, aims, candidates=4)
    whole, part = maker(asked), maker(asked[5:7])
    for image, meta in whole:
        assert np.array_equal(image, images[meta["pool"]]) and meta["pool"] in SPARE[meta["label"]]
        assert meta["criterion_after"] == VALUES[meta["pool"]] and (meta["target"], meta["updates"]) == (0.0, 0)
    assert [meta for _, meta in part] == [meta for _, meta in whole[5:7]]
    metas = [meta for _, meta in maker.unguided()(asked)]
    assert [meta["pool"] for meta in metas] == drawn(asked, SPARE)
    assert {meta["criterion_after"] for meta in metas} == {None} and "target" not in metas[0]
