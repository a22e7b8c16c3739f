"""Choices by name: a function in a dictionary, and an error that lists the dictionary."""

from collections.abc import Mapping
from typing import TypeVar

from src.runtime.errors import InputError

T = TypeVar("T")


def choose(kind: str, table: Mapping[str, T], name: str) -> T:
    """Return `table[name]`; InputError naming the known ones of this kind ("loss", "model") otherwise."""
    if name not in table:
        raise InputError(f"unknown {kind} '{name}'; choose one of: {', '.join(table)}")
    return table[name]
