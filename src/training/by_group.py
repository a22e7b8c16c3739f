"""Methods that work by group need data with contexts."""

from typing import TypeVar

from src.runtime.errors import InputError

T = TypeVar("T")


def needs_groups(parameter: str, name: str, groups: T | None) -> T:
    """Return `groups`; InputError naming `train.<parameter>` if these data have none."""
    if groups is None:
        raise InputError(
            f"train.{parameter} {name} works by group, and this data set has no contexts; "
            f"choose another train.{parameter} or a data set with contexts"
        )
    return groups
