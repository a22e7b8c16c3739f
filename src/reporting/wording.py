"""Names and numbers as a reader wants them, and the words for numbers that are not there."""

from collections.abc import Callable, Mapping
from typing import Any

from src.settings.arms import ARMS

MISSING = "not measured"
MINUS = "\u2212"
SPACE = "\u00a0"  # that no line breaks at


def title(arm: str) -> str:
    """The arm's name for readers."""
    return ARMS[arm].title if arm in ARMS else arm.replace("_", " ")


def percent(value: Any) -> str:
    """A share in [0, 1] as per cent with one decimal."""
    return MISSING if not _known(value) else f"{100 * value:.1f}{SPACE}%".replace("-", MINUS)


def points(value: Any) -> str:
    """A difference of shares in points, with its sign."""
    return MISSING if not _known(value) else f"{100 * value:+.1f}".replace("-", MINUS)


def number(value: Any, digits: int = 2) -> str:
    """A number with so many decimals; whole numbers with none; text as it is."""
    if not _known(value):
        return MISSING if value is None else str(value)
    return (f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}").replace("-", MINUS)


def signed(value: Any, digits: int = 2) -> str:
    """A difference with its sign."""
    return MISSING if not _known(value) else f"{value:+,.{digits}f}".replace("-", MINUS)


def with_titles(values: Mapping[str, Any], write: Callable[[Any], str] = percent) -> list[str]:
    """Each arm's title with its value. values: by arm."""
    return [f"{title(arm)} {write(value)}" for arm, value in values.items()]


def listed(names: list[str], most: int = 8) -> str:
    """Names in a sentence; of many, the first ones and how many more."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1] if names else "none"


def capitalised(sentence: str) -> str:
    """The sentence with its first letter as a capital, the others as they are."""
    return sentence[:1].upper() + sentence[1:]


def code_spans(text: str) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether it is code: what stands between backticks, if these come in pairs."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return [(text, False)]
    return [(piece, k % 2 == 1) for k, piece in enumerate(pieces)]


def setting(value: Any) -> str:
    """A parameter's value as params.yaml would show it."""
    if value is None:
        return "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _known(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
