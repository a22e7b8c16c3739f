"""The figures of a study: each metric by variant, and each image metric against the gain."""

import io
from collections.abc import Mapping
from textwrap import fill

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from src.studies.study import Study
from src.studies.summary import PER_CENT, Measured, cell
from src.studies.usefulness import Points, correlations

matplotlib.use("Agg")
from matplotlib import pyplot as plt

COLOURS = 64


def by_variant(study: Study, measured: Measured) -> bytes:
    """A PNG: a panel per metric, variants from top to bottom, mean and interval, the compared one as a line."""
    names = [variant.name for variant in study.variants]
    compared = next(variant for variant in study.variants if variant.name == study.against)
    size = (2.6 * len(study.metrics) + 1.5, 0.42 * len(names) + 1.2)
    canvas, axes = plt.subplots(1, len(study.metrics), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, metric in zip(axes[0], study.metrics, strict=True):
        for place, variant in enumerate(study.variants):
            value = cell(study, measured, variant, metric)
            if value is not None:
                axis.errorbar(value[0], place, xerr=value[1] or 0, fmt="o", color="C0", capsize=3)
        against = cell(study, measured, compared, metric)
        if against is not None:
            axis.axvline(against[0], color="0.7", zorder=0)
        title = metric.replace("_", " ") + (", %" if metric in PER_CENT else "")
        axis.set_title(fill(title, 20))
        axis.set_yticks(range(len(names)), names)
    axes[0][0].invert_yaxis()
    return _png(canvas)


def against_gain(clouds: Mapping[str, Points], shot: str) -> bytes:
    """A PNG: a panel per metric, an experiment per point."""
    predicted = correlations(clouds)
    canvas, axes = plt.subplots(
        1, len(clouds), figsize=(2.6 * len(clouds), 2.6), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, (metric, (_, x, y)) in zip(axes[0], clouds.items(), strict=True):
        rho, low, high = predicted[metric]
        axis.scatter(x, y, s=14)
        axis.set_title(f"{metric}: rho {rho:+.2f}\n[{low:+.2f}, {high:+.2f}]", fontsize=9)
        axis.set_xlabel(f"{metric}, less seed mean", fontsize=8)
    axes[0][0].set_ylabel(f"gain in {shot}, less seed mean", fontsize=8)
    return _png(canvas)


def _png(canvas: Figure) -> bytes:
    drawn, png = io.BytesIO(), io.BytesIO()
    canvas.savefig(drawn, format="png", dpi=110)
    plt.close(canvas)
    with Image.open(drawn, formats=["PNG"]) as image:  # lines and letters need few colours: a third of the bytes
        image.convert("RGB").quantize(COLOURS).save(png, format="PNG", optimize=True)
    return png.getvalue()
