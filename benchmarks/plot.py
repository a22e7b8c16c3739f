"""The benchmarks' results as pictures: levers, guided against unguided, growth of sampling; metrics beside
libraries; false alarms of intervals.

python -m benchmarks.plot
"""

import io
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from src.runtime.entry import run_stage
from src.runtime.files import atomic_write, read_json

RESULTS = Path("benchmarks/results")


def _bars(axes: Any, values: dict[str, float], title: str, unit: str) -> None:
    names = list(values)[::-1]
    bars = axes.barh(names, [values[name] for name in names], color="#4477aa")
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set_title(title)
    axes.set_xlabel(unit)
    axes.margins(x=0.15)


def _save(figure: Any, report: dict[str, Any], title: str, name: str) -> None:
    figure.suptitle(f"{title} on {report['machine'].get('cpu', '')}, {report['machine']['cores']} cores")
    png = io.BytesIO()
    figure.savefig(png, dpi=90, metadata={"Software": None})
    atomic_write(RESULTS / name, png.getvalue())


def sampling(report: dict[str, Any]) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(13, 7), layout="constrained")
    order = {name: row["speedup"] for name, row in report["against_the_plain_order"].items()}
    _bars(axes[0, 0], order, f"{report['images']} guided images, times the plain order", "speed-up")
    modes = report["every_5th_of_30_steps"]
    over = {name: row["over_unguided"] for name, row in modes.items() if name != "unguided"}
    _bars(axes[0, 1], over, "Guided every 5th of 30 steps", "cost over unguided")
    for row, (key, label) in zip(axes[1], (("batch", "images per batch"), ("resolution", "pixels")), strict=True):
        points = report[key]
        x = [point.get("batch") or point["pixels"] for point in points]
        row.loglog(x, [point["seconds_per_image"] for point in points], "o-", color="#4477aa", base=2)
        row.set_xlabel(label)
        row.set_ylabel("seconds per image")
        row.grid(alpha=0.3)
    _save(figure, report, f"Guided sampling, {report['shapes']}", "sampling.png")


def metrics(report: dict[str, Any]) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(15, 4), layout="constrained")
    ratios = {}
    for row in report["neighbours"]:
        name = f"{row['features']}, {row['dtype']}"
        for what in ("density_coverage", "all_four"):
            if what in row["median"]:  # once there was a run without recall
                ratios[f"{what}, {name}"] = row["median"]["prdc"] / row["median"][what]
    first = report["neighbours"][0]
    _bars(axes[0], ratios, f"{first['count']} x {first['count']} x {first['dimensions']}, prdc = 1", "speed-up")
    frechet = {}
    for row in report["frechet"]:
        for what in ("torch_fidelity", "scipy_sqrtm"):
            frechet[f"{what}, {row['count']} images"] = row["median"][what] / row["median"]["ours"]
    _bars(axes[1], frechet, "FID, times faster than", "speed-up")
    for what in ("all_four", "fid", "prdc"):
        points = [(row["count"], row["median"][what]) for row in report["growth"] if what in row["median"]]
        axes[2].loglog(*zip(*points, strict=True), "o-", label=what)
    axes[2].set_xlabel("images on each side")
    axes[2].set_ylabel("seconds")
    axes[2].legend()
    axes[2].grid(alpha=0.3)
    _save(figure, report, "Metrics", "metrics.png")


def false_alarms(report: dict[str, Any]) -> None:
    measures = list(dict.fromkeys(row["measure"] for row in report["rows"]))
    figure, axes = plt.subplots(1, len(measures), figsize=(13, 4), layout="constrained", sharey=True)
    for axis, measure in zip(axes, measures, strict=True):
        rows = [row for row in report["rows"] if row["measure"] == measure]
        names = {f"{row['test images']}, {row['interval']}": 100 * row["false alarms"] for row in rows}
        _bars(axis, names, f"{measure}: equally good classifiers called different", "% of test sets")
        axis.axvline(5, color="0.4")
    _save(
        figure,
        report,
        f"False alarms by test images of each class, {report['tests']} test sets each,",
        "false_alarms.png",
    )


def main() -> None:
    sampling(read_json(RESULTS / "sampling.json"))
    metrics(read_json(RESULTS / "metrics.json"))
    false_alarms(read_json(RESULTS / "false_alarms.json"))


if __name__ == "__main__":
    run_stage(main)
