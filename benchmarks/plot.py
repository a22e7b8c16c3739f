"""The benchmarks' results as one picture: the levers, guided against unguided, growth with batch and resolution.

python -m benchmarks.plot
"""

import io
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from src.errors import run_stage
from src.files import atomic_write, read_json

RESULTS = Path("benchmarks/results")


def _bars(axes: Any, values: dict[str, float], title: str, unit: str) -> None:
    names = list(values)[::-1]
    bars = axes.barh(names, [values[name] for name in names], color="#4477aa")
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set_title(title)
    axes.set_xlabel(unit)
    axes.margins(x=0.15)


def main() -> None:
    report = read_json(RESULTS / "sampling.json")
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
    figure.suptitle(f"{report['shapes']} on {report['machine'].get('cpu', '')}, {report['device']}")
    png = io.BytesIO()
    figure.savefig(png, dpi=90, metadata={"Software": None})
    atomic_write(RESULTS / "sampling.png", png.getvalue())


if __name__ == "__main__":
    run_stage(main)
