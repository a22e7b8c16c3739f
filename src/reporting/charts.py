"""The drawings of a report: bars, dots and curves of all arms, confusion matrix and reliability of one."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from src.reporting.run_results import Rows
from src.reporting.svg import LETTER, WIDTH, apart, drawing, line, mark, polyline, shorten, style, tag, text, ticks
from src.reporting.wording import MISSING, percent, title

# Shares from which a cell of the matrix is shaded darker, and the style class of each step.
STEPS = (0.005, 0.05, 0.15, 0.35, 0.65)
NUMBERED = 12  # classes up to which a cell has room for its number

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
    parts, x = [], 0.0
    for arm in arms:
        parts += [mark(arm, x + 6, 8), text(x + 15, 12, title(arm))]
        x += 15 + LETTER * len(title(arm)) + 14
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
    drawn = {
        arm: [(x, math.log10(y) if log else y) for x, y in points if not log or y > 0] for arm, points in series.items()
    }
    drawn = {arm: points for arm, points in drawn.items() if points}
    left, right, top, bottom = 46.0, LETTER * max(len(title(arm)) for arm in drawn) + 22, 10.0, 210.0
    heights = [y for points in drawn.values() for _, y in points]
    across = ticks(0, max(x for points in drawn.values() for x, _ in points), 4)
    powers = range(math.floor(min(heights)), math.ceil(max(heights)) + 1)
    up = [float(power) for power in powers] if log else ticks(min(heights), max(heights), 5)
    up = up if len(up) > 1 else [up[0], up[0] + 1]
    width, height = WIDTH - left - right, bottom - top

    def place(x: float, y: float) -> tuple[float, float]:
        return left + width * x / across[-1], bottom - height * (y - up[0]) / (up[-1] - up[0])

    parts = [text(left, bottom + 32, "training steps", class_="tick")]
    for value in up:
        y = place(0, value)[1]
        words = f"{100 * value:.0f} %" if share else f"{10**value:g}" if log else f"{value:g}"
        parts += [line(left, y, WIDTH - right, y, "grid"), text(left - 6, y + 4, words, "end", "tick")]
    parts += [text(place(x, up[0])[0], bottom + 16, f"{x:,g}", "middle", "tick") for x in across]
    paths = {arm: [place(x, y) for x, y in points] for arm, points in drawn.items()}
    parts += [polyline(path, arm) for arm, path in paths.items()]
    names = apart({arm: path[-1][1] for arm, path in paths.items()}, 15, top, bottom)
    for arm, path in paths.items():
        parts += [mark(arm, *path[-1]), text(WIDTH - right + 12, names[arm] + 4, title(arm))]
    return drawing(parts, bottom + 38, alt)


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], alt: str) -> Markup:
    """Rows are true classes, columns predicted ones, shades the share of the row. matrix: counts of test images."""
    left = top = min(LETTER * max(len(name) for name in classes) + 8, 0.28 * WIDTH)
    cell = (WIDTH - left) / len(classes)
    parts = []
    for i, (name, row) in enumerate(zip(classes, matrix, strict=True)):
        words, middle = shorten(name, left - 8), (i + 0.5) * cell
        x, y = left + middle + 4, top - 6
        parts.append(text(left - 6, top + middle + 4, words, "end"))
        parts.append(tag("text", words, x=x, y=y, transform=f"rotate(-90 {x:.1f} {y:.1f})", class_="label"))
        for j, count in enumerate(row):
            share = count / sum(row) if sum(row) else 0
            step = sum(share >= bound for bound in STEPS)
            corner: dict[str, Any] = {"x": left + j * cell, "y": top + i * cell, "width": cell - 1, "height": cell - 1}
            if step or i == j:
                parts.append(tag("rect", **corner, class_=f"shade-{step}{' right' if i == j else ''}"))
            if step and len(classes) <= NUMBERED:
                place = corner["x"] + cell / 2 - 0.5, corner["y"] + cell / 2 + 4
                parts.append(text(*place, f"{100 * share:.0f}", "middle", f"cell on-{step}"))
    return drawing(parts, top + cell * len(classes), alt)


def reliability(arm: str, rows: Rows, ece: float | None, alt: str) -> Markup:
    """Accuracy of the predictions of each confidence against the diagonal; below, how many predictions there are.

    rows: `confidence`, `accuracy` and `share` of the predictions, which is positive.
    """
    width, left, top, side, strip = 200.0, 34.0, 24.0, 156.0, 30.0
    bottom = top + side

    def place(x: float, y: float) -> tuple[float, float]:
        return left + side * x, bottom - side * y

    parts = [] if ece is None else [text(left, 12, f"calibration error {percent(ece)}", class_="tick")]
    for share in (0, 0.5, 1):
        x, y = place(share, share)
        parts += [line(left, y, left + side, y, "grid"), line(x, top, x, bottom, "grid")]
        parts += [text(left - 5, y + 4, f"{100 * share:.0f}", "end", "tick")]
        parts += [text(x, bottom + strip + 16, f"{100 * share:.0f}", "middle", "tick")]
    parts.append(line(*place(0, 0), *place(1, 1), "diagonal"))
    most = max(row["share"] for row in rows)
    path = [place(row["confidence"], row["accuracy"]) for row in rows]
    parts.append(polyline(path, arm))
    for (x, y), row in zip(path, rows, strict=True):
        high = (strip - 6) * row["share"] / most
        parts.append(tag("rect", x=x - 3, y=bottom + strip - high, width=6, height=high, class_="quiet-bar"))
        parts.append(mark(arm, x, y, 4))
    return drawing(parts, bottom + strip + 20, alt, width)
