"""Bars, dots and curves of a report."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from src.reporting.number_format import MISSING
from src.reporting.run_results import title
from src.reporting.svg import LETTER, WIDTH, apart, drawing, legend, line, mark, shorten, style, tag, text, ticks

Points = Sequence[tuple[float, float]]
Bar = tuple[str, float | None, str]


def bars(groups: Sequence[tuple[str, float, Sequence[Bar]]], alt: str, like: str | None = None) -> Markup:
    """Bars from the left, a heading above each group. groups: (heading, value of a full bar, (arm, value, label)).

    like: the arm in whose colour and shape all are drawn, where the rows are not arms.
    """
    left = max(LETTER * max(len(title(arm)) for _, _, rows in groups for arm, _, _ in rows) + 30, 60)
    room = WIDTH - left - 70
    parts, y = [], 0.0
    for heading, full, rows in groups:
        if heading:
            y += 22
            parts.append(text(0, y - 4, heading, class_="label strong"))
        for arm, value, label in rows:
            parts += [mark(like or arm, 6, y + 9), text(16, y + 13, title(arm))]
            if value is None:
                parts.append(text(left, y + 13, MISSING, class_="label quiet"))
            else:
                length = room * min(max(value / full, 0), 1) if full else 0
                parts.append(tag("rect", x=left, y=y + 3, width=length, height=12, rx=1.5, class_=style(like or arm)))
                parts.append(text(left + length + 6, y + 13, label))
            y += 19
        y += 6
    return drawing(parts, y, alt)


def dots(rows: Sequence[tuple[str, Mapping[str, float]]], arms: Sequence[str], alt: str) -> Markup:
    """A line per row with a mark per arm at its share in [0, 1]; the way from the first arm to the last is drawn."""
    left = min(LETTER * max(len(label) for label, _ in rows) + 10, 0.4 * WIDTH)
    room, top, height = WIDTH - left - 16, 40.0, 19.0
    bottom = top + height * len(rows)
    parts = legend([(arm, title(arm)) for arm in arms], 12)
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = left + room * share
        parts += [line(x, top - 8, x, bottom, "grid"), text(x, top - 12, f"{100 * share:.0f} %", "middle", "tick")]
    for k, (label, values) in enumerate(rows):
        y = top + height * (k + 0.5)
        parts.append(text(0, y + 4, shorten(label, left - 6)))
        xs = {arm: left + room * values[arm] for arm in arms if arm in values}
        if len(xs) > 1:
            parts.append(line(min(xs.values()), y, max(xs.values()), y, "span"))
        parts += [mark(arm, x, y) for arm, x in xs.items()]
    return drawing(parts, bottom + 4, alt)


def curves(series: Mapping[str, Points], alt: str, log: bool = False, share: bool = False) -> Markup:
    """Lines over training steps, each named at its end. log: of the values; share: values in [0, 1] as per cent."""
    drawn = {arm: [(x, y) for x, y in points if not log or y > 0] for arm, points in series.items()}
    drawn = {arm: points for arm, points in drawn.items() if points}
    left, right, top, bottom = 46.0, LETTER * max(len(title(arm)) for arm in drawn) + 22, 10.0, 210.0
    xs = [x for points in drawn.values() for x, _ in points]
    heights = {arm: [math.log10(y) if log else y for _, y in points] for arm, points in drawn.items()}
    values = [y for row in heights.values() for y in row]
    across = ticks(0, max(xs), 4)
    if log:
        up = [float(k) for k in range(math.floor(min(values)), math.ceil(max(values)) + 1)]
    else:
        up = ticks(min(values), max(values), 5)
    up = up if len(up) > 1 else [up[0], up[0] + 1]

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + (WIDTH - left - right) * x / across[-1],
            bottom - (bottom - top) * (y - up[0]) / (up[-1] - up[0]),
        )

    parts = [text(left, bottom + 32, "training steps", class_="tick")]
    for value in up:
        y = place(0, value)[1]
        words = f"{100 * value:.0f} %" if share else f"{10**value:g}" if log else f"{value:g}"
        parts += [line(left, y, WIDTH - right, y, "grid"), text(left - 6, y + 4, words, "end", "tick")]
    parts += [text(place(x, up[0])[0], bottom + 16, f"{x:,g}", "middle", "tick") for x in across]
    ends = {}
    for arm, points in drawn.items():
        path = [place(x, y) for (x, _), y in zip(points, heights[arm], strict=True)]
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in path)
        parts.append(tag("polyline", points=corners, class_=f"line {style(arm)}"))
        ends[arm] = path[-1]
    named = apart({arm: y for arm, (_, y) in ends.items()}, 15, top, bottom)
    for arm, (x, y) in ends.items():
        parts += [mark(arm, x, y), text(WIDTH - right + 12, named[arm] + 4, title(arm))]
    return drawing(parts, bottom + 38, alt)
