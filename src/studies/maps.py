"""The map of a study over two settings: its accuracy in each cell, and the gain against what the images are.

Which cell a variant is, its name says: the study's `map` is a regular expression with the groups column, panel and row.
"""

import re
from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes

from src.studies.figures import png, subplots
from src.studies.study import GAPS, Study
from src.studies.summary import PER_CENT, POINTS, Measured, cell, digits, heading, name_of, sample

AGAINST = (*GAPS, "agreement")
NONE = "none"  # the row of a variant without one, which stands in every panel

Cells = dict[tuple[str, str], str]  # row and column -> variant


def panels_of(study: Study) -> dict[str, Cells]:
    """The variants of each panel by row and column; panels in the order in which the study names them first."""
    places = [(variant.name, re.fullmatch(study.map, variant.name)) for variant in study.variants]
    found: dict[str, Cells] = {place["panel"]: {} for _, place in places if place and place["panel"]}
    for name, place in places:
        if place is not None:
            for panel in [place["panel"]] if place["panel"] else found:
                found[panel][place["row"] or NONE, place["column"]] = name
    return found


def column_of(study: Study, variant: str) -> str:
    """The column that a variant stands in, nothing in a study without a map."""
    place = re.fullmatch(study.map, variant) if study.map else None
    return place["column"] if place else ""


def accuracy_map(study: Study, measured: Measured) -> bytes:
    """A PNG: of each panel the mean of the first metric by row and column, then its gain over NONE of the same panel
    and column against what is AGAINST it, all of the mean over seeds, coloured by column."""
    panels = panels_of(study)
    metric, against = study.metrics[0], [name for name in AGAINST if name in study.metrics]
    means = {v.name: value[0] for v in study.variants if (value := cell(study, measured, v, metric)) is not None}
    wide, rows = max(len(panels), len(against)), 1 + bool(against)
    canvas, axes = subplots(wide, 3.2 * wide, 3.4 * rows, rows=rows)
    for empty in (*axes[len(panels) : wide], *axes[wide + len(against) :]):
        empty.set_axis_off()
    limits = (min(means.values(), default=0), max(means.values(), default=1))
    for axis, (panel, cells) in zip(axes, panels.items(), strict=False):
        _heat(axis, cells, means, limits, digits(metric))
        axis.set_title(panel, fontsize=10)
        axis.set_xlabel(study.map.partition("(")[0].strip(), fontsize=8)
    columns = _in_order(column for cells in panels.values() for _, column in cells)
    for axis, name in zip(axes[wide:], against, strict=False):
        for number, column in enumerate(columns):
            gains = _gains(panels, means, column)
            known = [v for v in study.variants if v.name in gains]
            x = [value[0] if (value := cell(study, measured, v, name)) else np.nan for v in known]
            axis.scatter(x, [gains[v.name] for v in known], s=16, color=f"C{number}", label=column)
        axis.axhline(0, color="0.4", linewidth=1)
        if name in GAPS:
            axis.axvline(0, color="0.4", linewidth=1)
        axis.set_xlabel(f"{name_of(name)}, nats" if name in GAPS else heading(name), fontsize=8)
        axis.set_title(f"gain over {NONE}, {POINTS}", fontsize=10)
        axis.legend(fontsize=7, frameon=False)
    unit = ", %" if metric in PER_CENT else ""
    return png(canvas, colours=256, caption=f"mean {name_of(metric)}{unit}; {sample(study)}, {study.split}")


def _gains(panels: dict[str, Cells], means: dict[str, float], column: str) -> dict[str, float]:
    """What each known variant of a column is above NONE of its panel there; nan where that is not known."""
    return {
        variant: means[variant] - means.get(cells.get((NONE, column), ""), np.nan)
        for cells in panels.values()
        for (_, place), variant in cells.items()
        if place == column and variant in means
    }


def _heat(axis: Axes, cells: Cells, means: dict[str, float], limits: tuple[float, float], decimals: int) -> None:
    """A cell per row and column, with its number; those that were not run stay white."""
    rows, columns = _in_order(place[0] for place in cells), _in_order(place[1] for place in cells)
    grid = np.array([[means.get(cells.get((row, column), ""), np.nan) for column in columns] for row in rows])
    axis.imshow(grid, vmin=limits[0], vmax=limits[1], cmap="viridis", aspect="auto")
    for (i, j), value in np.ndenumerate(grid):
        if not np.isnan(value):
            dark = value < sum(limits) / 2
            axis.text(j, i, f"{value:.{decimals}f}", ha="center", va="center", fontsize=8, color="w" if dark else "k")
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), rows)


def _in_order(names: Iterable[str]) -> list[str]:
    """Each once: numbers by their value, NONE among them as zero, then words."""

    def place(name: str) -> tuple[bool, float, str]:
        try:
            return False, 0 if name == NONE else float(name), ""
        except ValueError:
            return True, 0, name

    return sorted(set(names), key=place)
