"""What a test split can tell is known before training, and said where it is little."""

import numpy as np
import pytest

from src.evaluation.paired_tests import outcomes, posterior_interval
from src.evaluation.power import tellable, weak_tests


def test_the_tellable_difference_is_about_that_which_the_interval_of_a_test_excludes_zero_from() -> None:
    (images, half), before = tellable([10] * 8, [5] * 8)["few"], np.arange(80) % 10 < 3
    assert images == 80
    clear = []
    for gained in range(1, 30):
        after = before | (np.arange(80) % 10 >= 3) & (np.arange(80) // 10 + 8 * (np.arange(80) % 10 - 3) < gained)
        low, _ = posterior_interval(outcomes(before, after, np.arange(80) // 10, 8), lambda a: a.mean(1), "test")
        clear += [gained / 80] if low > 0 else []
    assert half <= clear[0] <= 3 * half


def test_more_images_tell_smaller_differences_and_each_shot_has_its_own() -> None:
    told = tellable([100, 100, 4, 4, 0], [500, 50, 3, 2, 1])
    assert set(told) == {"many", "medium", "few"}
    assert told["few"][0] == 8 and told["few"][1] > 5 * told["many"][1]
    assert tellable([1000], [500])["many"][1] < told["many"][1]


@pytest.mark.parametrize(
    ("tested", "words"), [([60, 1, 1, 1], "3 images of 3 few-shot"), ([60, 0, 0, 0], "0 images of 3")]
)
def test_a_split_that_tells_little_of_a_shot_says_so(tested, words) -> None:
    (sentence,) = weak_tests(tested, [200, 5, 3, 2])
    assert words in sentence and "seed=0,1,2" in sentence


def test_the_benchmark_has_nothing_to_say() -> None:
    assert list(weak_tests([60] * 10, [60, 38, 24, 15, 9, 6, 3, 2, 1, 1])) == []
