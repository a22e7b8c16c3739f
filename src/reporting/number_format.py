"""Numbers as a reader wants them, and the words for numbers that are not there."""

from typing import Any

MISSING = "not measured"
MINUS = "\u2212"
SPACE = "\u00a0"  # that no line breaks at


def percent(value: Any) -> str:
    """A share in [0, 1] as per cent with one decimal."""
    return MISSING if not _known(value) else f"{100 * value:.1f}{SPACE}%".replace("-", MINUS)


def points(value: Any) -> str:
    """A difference of shares in points, with its sign."""
    return MISSING if not _known(value) else f"{100 * value:+.1f}".replace("-", MINUS)


def number(value: Any, digits: int = 2) -> str:
    """A number with so many decimals; whole numbers with none; text as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return MISSING if value is None else str(value)
    return (f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}").replace("-", MINUS)


def signed(value: Any, digits: int = 2) -> str:
    """A difference with its sign."""
    return MISSING if not _known(value) else f"{value:+,.{digits}f}".replace("-", MINUS)


def interval(ends: tuple[float, float] | None) -> str:
    """A 95 % interval of a difference of shares, in points, in brackets; nothing where there is none."""
    return "" if ends is None else f"[{points(ends[0])},{SPACE}{points(ends[1])}]"


def listed(names: list[str], most: int = 8) -> str:
    """Names in a sentence; of many, the first ones and how many more."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1] if names else "none"


def setting(value: Any) -> str:
    """A parameter's value as params.yaml would show it."""
    if value is None:
        return "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _known(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
