"""A number of the wrong type is refused by the parameter's name."""

import pytest

from src.runtime.errors import InputError
from src.settings.checks import flag, number, whole


@pytest.mark.parametrize("value", ["many", 2.5, None, True])
def test_only_whole_numbers_are_whole(value):
    with pytest.raises(InputError, match=r"train\.steps must be a whole number"):
        whole("train.steps", value)


def test_a_least_value_is_kept():
    assert whole("n", 3, least=3) == 3
    with pytest.raises(InputError, match="n must be at least 3, not 2"):
        whole("n", 2, least=3)


@pytest.mark.parametrize("value", ["0.1", None, False, [1]])
def test_only_numbers_are_numbers(value):
    with pytest.raises(InputError, match="lr must be a number"):
        number("lr", value)


def test_a_whole_number_is_a_number():
    assert number("scale", 3) == 3.0


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_only_true_and_false_are_flags(value):
    with pytest.raises(InputError, match="mix must be true or false"):
        flag("mix", value)
    assert flag("mix", True) is True
