"""The figures of a study: what it compares, or else each metric by variant, and each image metric against the gain."""

import io
from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from src.studies.study import Study
from src.studies.summary import POINTS, Measured, cell, comparisons, heading, name_of, sample
from src.studies.usefulness import Points, correlations

matplotlib.use("Agg")
from matplotlib import pyplot as plt

COLOURS = 64
PER_INCH = 17  # letters of a caption, which is broken rather than cut off


def paired_differences(study: Study, measured: Measured) -> bytes:
    """A PNG: a panel per judged metric, a row per comparison, zero as a line; what holds (Holm) is filled."""
    compared = comparisons(study, measured)
    others = {differences[0].against for differences in compared if differences[0].against}
    names = [
        fill(d[0].variant, 40) + ("\n" + fill(f"less {d[0].against}", 40) if d[0].against and len(others) > 1 else "")
        for d in compared
    ]
    canvas, axes = _panels(study.judged, names, POINTS)
    for axis, metric in zip(axes, study.judged, strict=True):
        axis.axvline(0, color="0.4", linewidth=1)
        for place, differences in enumerate(compared):
            for d in (d for d in differences if d.metric == metric):
                inside = "C0" if d.holds else "white"
                axis.errorbar(d.mean, place, xerr=d.half, fmt="o", color="C0", markerfacecolor=inside, capsize=3)
    caption = f"less {others.pop()}; " if len(others) == 1 else ""
    return png(canvas, f"{caption}{sample(study)}; filled: differs from zero together with the others (Holm)")


def by_variant(study: Study, measured: Measured) -> bytes:
    """A PNG: a panel per metric, a row per variant, the mean; for studies that compare nothing."""
    canvas, axes = _panels(study.metrics, [variant.name for variant in study.variants])
    for axis, metric in zip(axes, study.metrics, strict=True):
        for place, variant in enumerate(study.variants):
            value = cell(study, measured, variant, metric)
            if value is not None:
                axis.errorbar(value[0], place, xerr=value[1] or 0, fmt="o", color="C0", capsize=3)
    return png(canvas, sample(study))


def against_gain(clouds: Mapping[str, Points], shot: str) -> bytes:
    """A PNG: a panel per metric, an experiment per point."""
    predicted = correlations(clouds)
    canvas, axes = subplots(len(clouds), 2.6 * len(clouds), 2.6, sharey=True)
    for axis, (metric, cloud) in zip(axes, clouds.items(), strict=True):
        rho, low, high = predicted[metric]
        axis.scatter(cloud.x, cloud.y, s=14)
        axis.set_title(f"{name_of(metric)}: rho {rho:+.2f}\n[{low:+.2f}, {high:+.2f}]", fontsize=9)
        axis.set_xlabel(f"{name_of(metric)}, less seed mean", fontsize=8)
    axes[0].set_ylabel(fill(f"gain in {name_of(shot)}, less seed mean", 24), fontsize=8)
    return png(canvas)


def _panels(metrics: Sequence[str], names: Sequence[str], unit: str = "%") -> tuple[Figure, Sequence[Axes]]:
    """Side by side, a row per name from top to bottom."""
    lines = sum(1 + name.count("\n") for name in names)
    size = (2.6 * len(metrics) + 3, 0.1 * len(names) + 0.2 * lines + 1.3)
    canvas, axes = subplots(len(metrics), *size, sharey=True)
    for axis, metric in zip(axes, metrics, strict=True):
        axis.set_title(fill(heading(metric, unit), 24), fontsize=10)
        axis.set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    return canvas, axes


def subplots(
    columns: int, width: float, height: float, sharey: bool = False, rows: int = 1
) -> tuple[Figure, Sequence[Axes]]:
    """That many panels in each of the rows, one after the other; width and height of the whole in inches."""
    canvas, axes = plt.subplots(
        rows, columns, figsize=(width, height), sharey=sharey, squeeze=False, layout="constrained"
    )  # fmt: skip
    return canvas, [*axes.ravel()]


def png(canvas: Figure, caption: str = "", colours: int = COLOURS) -> bytes:
    """The figure, closed; on white, so that it can be read on a dark page too."""
    if caption:
        canvas.supxlabel(fill(caption, int(PER_INCH * canvas.get_figwidth())), fontsize=8)
    drawn, png = io.BytesIO(), io.BytesIO()
    canvas.savefig(drawn, format="png", dpi=110)
    plt.close(canvas)
    with Image.open(drawn, formats=["PNG"]) as image:  # lines and letters need few colours: a third of the bytes
        image.convert("RGB").quantize(colours).save(png, format="PNG", optimize=True)
    return png.getvalue()
