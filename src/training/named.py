"""Choices by name: a function in a dictionary, an error that lists the dictionary, and one for what a choice needs."""

from collections.abc import Mapping
from typing import TypeVar

from src.errors import InputError

T = TypeVar("T")


def named(kind: str, table: Mapping[str, T], name: str) -> T:
    """Return `table[name]`; InputError naming the known ones of this kind ("loss", "model") otherwise."""
    if name not in table:
        raise InputError(f"unknown {kind} '{name}'; choose one of: {', '.join(table)}")
    return table[name]


def needs_groups(parameter: str, name: str, groups: T | None) -> T:
    """Return `groups`; InputError naming `train.<parameter>` if these data have none."""
    if groups is None:
        raise InputError(
            f"train.{parameter} {name} works by group, and this data set has no contexts; "
            f"choose another train.{parameter} or a data set with contexts"
        )
    return groups
