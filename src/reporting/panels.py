"""Small panels of a report: confusion matrices and reliability diagrams."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from src.reporting.number_format import percent
from src.reporting.run_results import Rows
from src.reporting.svg import LETTER, WIDTH, drawing, line, mark, shorten, style, tag, text

# Shares from which a cell of the matrix is shaded darker, and the style class of each step.
STEPS = (0.005, 0.05, 0.15, 0.35, 0.65)
NUMBERED = 12  # classes up to which a cell has room for its number


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], alt: str) -> Markup:
    """Rows are true classes, columns predicted ones, shades the share of the row. matrix: counts of test images."""
    left = min(LETTER * max(len(name) for name in classes) + 8, 0.28 * WIDTH)
    cell = (WIDTH - left) / len(classes)
    top = left
    parts = []
    for i, (name, row) in enumerate(zip(classes, matrix, strict=True)):
        middle = (i + 0.5) * cell
        x, y = left + middle + 4, top - 6
        parts.append(text(left - 6, top + middle + 4, shorten(name, left - 8), "end"))
        column = tag(
            "text", shorten(name, left - 8), x=x, y=y, transform=f"rotate(-90 {x:.1f} {y:.1f})", class_="label"
        )
        parts.append(column)
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
    """Accuracy of the predictions of each confidence against the diagonal; below, how many predictions there are."""
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
    filled = [row for row in rows if row.get("share") and {"confidence", "accuracy"} <= row.keys()]
    most = max((row["share"] for row in filled), default=1)
    path = [place(row["confidence"], row["accuracy"]) for row in filled]
    parts.append(tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in path), class_=f"line {style(arm)}"))
    for (x, y), row in zip(path, filled, strict=True):
        high = (strip - 6) * row["share"] / most
        parts.append(tag("rect", x=x - 3, y=bottom + strip - high, width=6, height=high, class_="quiet-bar"))
        parts.append(mark(arm, x, y, 4))
    return drawing(parts, bottom + strip + 20, alt, width)
