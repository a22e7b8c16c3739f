"""Numbers from params.yaml are checked where they enter: the wrong type is one sentence, not a traceback."""

import math
from typing import Any

from src.errors import InputError


def whole(name: str, value: Any, least: int | None = None) -> int:
    """`value` if it is a whole number, at least `least`; InputError naming the parameter otherwise."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} must be a whole number, not {value!r}; correct it in params.yaml")
    if least is not None and value < least:
        raise InputError(f"{name} must be at least {least}, not {value}; correct it in params.yaml")
    return value


def number(name: str, value: Any) -> float:
    """`value` as a float if it is a number; InputError naming the parameter otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name} must be a number, not {value!r}; correct it in params.yaml")
    if not math.isfinite(value):
        raise InputError(f"{name} must be finite, not {value}; correct it in params.yaml")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """`value` if it is true or false; InputError naming the parameter otherwise."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, not {value!r}; correct it in params.yaml")
    return value
