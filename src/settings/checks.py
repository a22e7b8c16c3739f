"""Values from params.yaml are checked where they enter: the wrong type is one sentence, not a traceback."""

import math
from typing import Any

from src.runtime.errors import InputError


def whole(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """`value` if it is a whole number in least .. most; InputError naming the parameter otherwise."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} must be a whole number, not {value!r}; correct it in params.yaml")
    if least is not None and value < least:
        raise InputError(f"{name} must be at least {least}, not {value}; correct it in params.yaml")
    if most is not None and value > most:
        raise InputError(f"{name} must be at most {most}, not {value}; correct it in params.yaml")
    return value


def number(name: str, value: Any) -> float:
    """`value` as a float if it is a number; InputError naming the parameter otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name} must be a number, not {value!r}; correct it in params.yaml")
    try:
        found = float(value)
    except OverflowError:  # a whole number beyond 1e308
        found = math.inf
    if not math.isfinite(found):
        shown = value if isinstance(value, float) else "one of more than 300 digits"
        raise InputError(f"{name} must be finite, not {shown}; correct it in params.yaml")
    return found


def flag(name: str, value: Any) -> bool:
    """`value` if it is true or false; InputError naming the parameter otherwise."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, not {value!r}; correct it in params.yaml")
    return value


def text(name: str, value: Any) -> str:
    """`value` if it is text; InputError naming the parameter otherwise."""
    if not isinstance(value, str):
        raise InputError(f"{name} must be text, not {value!r}; correct it in params.yaml, in quotes if need be")
    return value
