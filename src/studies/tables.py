"""A study in Markdown, CSV and a figure, from the same cells."""

import io
from pathlib import Path
from typing import Any

import matplotlib

from src.files import atomic_write, write_csv
from src.report import markdown_table
from src.studies.study import Study
from src.studies.summary import PER_CENT, Cell, Measured, cell, verdict

matplotlib.use("Agg")
from matplotlib import pyplot as plt

DIGITS = {"fid": 1, "density": 2, "coverage": 2, "precision": 2, "recall": 2, "loss": 2, "entropy": 2}


def write_study(study: Study, measured: Measured, failures: dict[str, str], folder: Path) -> None:
    """Write <name>.md, <name>.csv and <name>.png into `folder`. failures: what failed experiments of it said."""
    atomic_write(folder / f"{study.name}.md", markdown(study, measured, failures).encode())
    write_csv(folder / f"{study.name}.csv", rows(study, measured))
    atomic_write(folder / f"{study.name}.png", figure(study, measured))


def markdown(study: Study, measured: Measured, failures: dict[str, str]) -> str:
    """The table with differences, what was reported elsewhere, the main metric's verdict, and what failed."""
    span = f"{study.seeds[0]} to {study.seeds[-1]}" if len(study.seeds) > 1 else str(study.seeds[0])
    columns = ["variant", *study.metrics, f"{study.metrics[0]}, difference"]
    table = markdown_table([_shown(study, measured, variant.name) for variant in study.variants], columns)
    text = [
        f"# {study.title}\n",
        f"{study.question}\n",
        f"Mean ± 95 % interval over {len(study.seeds)} seeds ({span}); accuracies and agreement in per cent; "
        f"differences to '{study.against}', paired by seed.\n",
        table,
        _reported(study),
        "\n".join(["In words:", *(f"- {line}" for line in verdict(study, measured, study.metrics[0]))]) + "\n",
    ]
    if failures:
        text.append("\n".join(["Failed:", *(f"- {name}: {said}" for name, said in sorted(failures.items()))]) + "\n")
    return "\n".join(part for part in text if part)


def rows(study: Study, measured: Measured) -> list[dict[str, Any]]:
    """One row per variant, seed and metric, as measured."""
    return [
        {"variant": variant.name, "seed": seed, **{m: measured.get(variant.name, {}).get(seed, {}).get(m)
                                                    for m in study.metrics}}
        for variant in study.variants
        for seed in study.seeds
    ]  # fmt: skip


def figure(study: Study, measured: Measured) -> bytes:
    """A PNG: a panel per metric, variants from top to bottom, mean and interval, the compared one as a line."""
    names = [variant.name for variant in study.variants]
    size = (2.6 * len(study.metrics) + 1.5, 0.42 * len(names) + 1.2)
    canvas, axes = plt.subplots(1, len(study.metrics), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, metric in zip(axes[0], study.metrics, strict=True):
        for place, name in enumerate(names):
            found = cell(study, measured, name, metric)
            if found is not None:
                axis.errorbar(found.mean, place, xerr=found.half or 0, fmt="o", color="C0", capsize=3)
        against = cell(study, measured, study.against, metric)
        if against is not None:
            axis.axvline(against.mean, color="0.7", zorder=0)
        axis.set_title(f"{metric}, %" if metric in PER_CENT else metric)
        axis.set_yticks(range(len(names)), names)
    axes[0][0].invert_yaxis()
    png = io.BytesIO()
    canvas.savefig(png, format="png", dpi=110, metadata={"Software": None})
    plt.close(canvas)
    return png.getvalue()


def _shown(study: Study, measured: Measured, name: str) -> dict[str, Any]:
    cells = {metric: cell(study, measured, name, metric) for metric in study.metrics}
    shown: dict[str, Any] = {"variant": name, **{m: _text(c, DIGITS.get(m, 1)) for m, c in cells.items()}}
    first = cells[study.metrics[0]]
    if first is not None and first.difference is not None:
        digits = DIGITS.get(study.metrics[0], 1)
        shown[f"{study.metrics[0]}, difference"] = (
            f"{first.difference[0]:+.{digits}f} ± {first.difference[1]:.{digits}f}"
        )
    return shown


def _text(found: Cell | None, digits: int) -> str | None:
    if found is None:
        return None
    return f"{found.mean:.{digits}f}" + ("" if found.half is None else f" ± {found.half:.{digits}f}")


def _reported(study: Study) -> str:
    if not study.reported:
        return "Reported by the papers: not available offline.\n"
    known = [
        {"variant": e["variant"], "metric": e["metric"], "reported": "unknown" if e["value"] is None else e["value"],
         "source": e["source"]}
        for e in study.reported
    ]  # fmt: skip
    return "Reported elsewhere, on other data:\n\n" + markdown_table(known, ["variant", "metric", "reported", "source"])
