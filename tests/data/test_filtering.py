"""Filters of synthetic images: what is clean, and that the next images of a class take the rejected ones' places."""

import numpy as np
import pytest

from src.data.filtering import FILTERS, Looks, accepted, clean, clip, short
from src.data.merge import within_budget
from src.runtime.errors import InputError


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def around(centre: int, count: int, spread: float, seed: int) -> np.ndarray:
    return unit(np.eye(4)[centre] + spread * np.random.default_rng(seed).normal(size=(count, 4)))


def looks(synthetic: np.ndarray, labels: list[int]) -> Looks:
    """Real images: 40 of class 0, 2 of class 1, one of class 2, each around its axis; prompts are the axes."""
    real = np.concatenate([around(0, 40, 0.1, 0), around(1, 2, 0.1, 1), around(2, 1, 0.1, 2)])
    return Looks(synthetic, np.array(labels), real, np.repeat([0, 1, 2], [40, 2, 1]), np.eye(4)[:3])


ODD = unit(np.array([[1, 0, 0, 1.0]]))
OWN, OTHER = [around(k, 1, 0.05, 3 + k) for k in range(3)], around(1, 1, 0.0, 6)
SYNTHETIC = np.concatenate([*OWN, OTHER, ODD])


def test_clean_images_are_as_near_their_prototype_as_real_ones_and_nearest_of_all_classes():
    assert clean(looks(SYNTHETIC, [0, 1, 2, 0, 0]), (0.0, 0.95)).tolist() == [True, True, True, False, False]


def test_of_real_images_clean_keeps_about_the_band():
    real = around(0, 400, 0.1, 9)
    kept = clean(Looks(real, np.zeros(400, int), around(0, 400, 0.1, 8), np.zeros(400, int), np.eye(4)[:1]), (0.1, 0.8))
    assert 0.6 < kept.mean() < 0.8


def test_copies_are_too_near_where_the_band_has_a_lower_end():
    copy = looks(SYNTHETIC, [0] * 5).real[:1]
    apart = looks(np.concatenate([unit(looks(SYNTHETIC, [0] * 5).real[:40].sum(0)[None]), copy]), [0, 0])
    assert clean(apart, (0.0, 1.0)).tolist() == [False, True]  # nearer than any real image is to the others' mean
    assert clip(apart, (0.0, 1.0)).all()


def test_without_any_class_of_two_every_nearest_image_is_clean():
    alone = Looks(SYNTHETIC[:3], np.array([0, 1, 2]), np.eye(4)[:3], np.arange(3), np.eye(4)[:3])
    assert clean(alone, (0.0, 0.95)).all()


def test_clip_keeps_what_fits_its_prompt_as_real_images_do():
    assert clip(looks(SYNTHETIC, [0, 1, 2, 0, 0]), (0.0, 0.95)).tolist() == [True, True, True, False, False]


def test_clip_takes_no_image_that_another_prompt_fits_better():
    """Real images of a hard class set a low bar, which an image of another class passes too."""
    poor = unit(np.array([[0.3, 0, 0, 1.0]]))  # a real image of class 0 that hardly fits its prompt
    seen = looks(np.concatenate([OWN[0], OTHER]), [0, 0])
    hard = seen._replace(real=np.repeat(poor, 43, 0), synthetic=unit(seen.synthetic + 0.4 * np.eye(4)[0]))
    assert ((hard.synthetic @ hard.texts[0]) > (poor @ hard.texts[0])).all()
    assert clip(hard, (0.0, 0.95)).tolist() == [True, False]


def test_no_filter_looks_at_nothing_and_an_unknown_one_is_refused():
    def never() -> Looks:
        raise AssertionError

    assert accepted("none", never, (0.0, 1.0)) is None
    with pytest.raises(InputError, match=f"unknown merge.filter 'cleen'; choose one of: {', '.join(FILTERS)}"):
        accepted("cleen", never, (0.0, 1.0))


class Numbered:
    """Images that know their number within their class."""

    folder = "here"

    def __init__(self, labels: list[int], numbers: list[int], contexts: list[int] | None = None) -> None:
        self.labels, self.numbers = np.array(labels), numbers
        self.contexts = None if contexts is None else np.array(contexts)

    def __len__(self) -> int:
        return len(self.labels)

    def meta(self, i: int) -> dict[str, int]:
        return {"index": self.numbers[i]}


def test_the_next_images_of_a_class_take_the_place_of_rejected_ones():
    made = Numbered([0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2])
    passed = np.array([False, True, True, False, True, True])
    assert within_budget(made, 2, passed).tolist() == [False, True, True, False, True, True]
    assert within_budget(made, 1, passed).tolist() == [False, True, True, False, False, False]
    assert within_budget(made, 2, np.ones(6, bool)).tolist() == within_budget(made, 2).tolist()
    assert within_budget(made, None, passed) is passed


def test_classes_of_which_a_filter_leaves_too_few_are_named():
    labels, offered = np.array([0, 0, 2, 2, 2]), np.array([True, False, True, True, False])
    assert short(labels, offered, 2) == [0] and short(labels, offered, 1) == [] and short(labels, None, 9) == []


def test_a_class_is_named_of_which_one_group_is_left_too_few():
    """Though the class has enough with its other group's, which cannot take these places."""
    labels, contexts = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 1, 1, 1, 0, 1])
    assert short(labels, np.ones(6, bool), 1, contexts) == [] == short(labels, np.ones(6, bool), 2)
    assert short(labels, np.ones(6, bool), 3, contexts) == [0, 1]
    assert short(labels, np.ones(6, bool), 2, contexts) == [0, 1] and short(labels, np.ones(6, bool), 4) == [1]


def test_of_groups_each_has_its_own_places():
    made = Numbered([0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1])
    passed = np.array([False, True, True, True])
    assert within_budget(made, 1, passed, "group").tolist() == [False, True, True, False]
    assert within_budget(made, 1, passed, "class").tolist() == [False, True, False, False]
