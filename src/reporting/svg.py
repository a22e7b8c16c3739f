"""Drawings as inline SVG: few elements, colours from the page's style, so that they follow light and dark.

Every drawing is `WIDTH` units wide, which is about a phone's width: nothing has to be read smaller than it was drawn.
An arm is told by colour and by shape, and named in words beside it.
"""

import math
from collections.abc import Iterable, Mapping

from markupsafe import Markup, escape

from src.settings.arms import ARMS

WIDTH = 420
# Of an average letter at font size 12 in a wide font: a label must not run into its neighbour.
LETTER = 7.2


def tag(name: str, content: str | Markup = "", **attributes: str | float) -> Markup:
    """An element; text and attributes are escaped. `class_` is class, other underscores are hyphens."""
    pairs = Markup("").join(
        Markup(' {}="{}"').format(Markup(key.rstrip("_").replace("_", "-")), _plain(value))
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), pairs, escape(content))


def text(x: float, y: float, words: str, anchor: str = "start", class_: str = "label") -> Markup:
    """A line of text; anchor: start, middle or end."""
    return tag("text", words, x=x, y=y, text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def polyline(points: Iterable[tuple[float, float]], arm: str) -> Markup:
    """The arm's line through the points."""
    return tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_=f"line {style(arm)}")


def drawing(parts: Iterable[Markup], height: float, alt: str, width: float = WIDTH) -> Markup:
    """The whole image, with its description for those who do not see it."""
    box = f"0 0 {_plain(width)} {_plain(height)}"
    return tag("svg", Markup("").join(parts), viewBox=box, role="img", aria_label=alt, width=width, height=height)


def style(arm: str) -> str:
    """The style class of an arm."""
    return f"arm-{arm if arm in ARMS else 'other'}"


def mark(arm: str, x: float, y: float, r: float = 4.5) -> Markup:
    """The arm's shape: hollow circle, square, diamond, triangle; a cross for an arm without one."""
    kind = style(arm)
    if arm == "base":
        return tag("circle", cx=x, cy=y, r=r - 0.5, class_=f"{kind} hollow")
    if arm == "synaug":
        return tag("rect", x=x - r + 0.8, y=y - r + 0.8, width=2 * r - 1.6, height=2 * r - 1.6, class_=kind)
    shapes = {
        "guided": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
        "all_real": ((0, -1.1), (1.1, 0.85), (-1.1, 0.85)),
    }
    corners = shapes.get(arm, ((-1, -1), (0, -0.3), (1, -1), (0.3, 0), (1, 1), (0, 0.3), (-1, 1), (-0.3, 0)))
    return tag("polygon", points=" ".join(f"{_plain(x + r * a)},{_plain(y + r * b)}" for a, b in corners), class_=kind)


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers that cover [low, high], in steps of 1, 2 or 5 times a power of ten."""
    span = max(high - low, 1e-9)  # of which a tenth is still told apart below
    raw = span / about
    step = 10.0 ** math.floor(math.log10(raw))
    step *= next(factor for factor in (1, 2, 5, 10) if factor * step >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


def shorten(words: str, width: float) -> str:
    """The words cut so that they fit, with an ellipsis."""
    room = max(int(width / LETTER), 2)
    return words if len(words) <= room else words[: room - 1] + "\u2026"


def apart(wanted: Mapping[str, float], gap: float, low: float, high: float) -> dict[str, float]:
    """Places of labels as near to the wanted ones as a distance of `gap` between them allows, within [low, high]."""
    placed: dict[str, float] = {}
    floor = low
    for name in sorted(wanted, key=lambda n: (wanted[n], n)):
        placed[name] = floor = max(wanted[name], floor)
        floor += gap
    ceiling = high
    for name in reversed(placed):
        placed[name] = ceiling = min(placed[name], ceiling)
        ceiling -= gap
    return placed


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
