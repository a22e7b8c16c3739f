"""The evidence as Markdown: means with 95 % intervals over seeds, and differences paired seed by seed.

python -m benchmarks.table metrics/evidence.json --readme README.md
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.evaluation.intervals import mean_ci, paired
from src.runtime.entry import run_stage
from src.runtime.files import read_json
from src.runtime.markdown import markdown_table, write_between

TITLES = {
    "base_ce": "base, cross-entropy",
    "base_bs": "base, balanced softmax",
    "synaug": "SYNAuG (text, Mixup, last layer)",
    "text": "text",
    "text_image": "text + image",
    "dropout": "text + image + dropout",
    "loss": "+ loss feedback",
    "entropy": "+ entropy feedback",
    "hardness": "+ hardness feedback",
    "all_real": "all real images (bound)",
}
PAIRS = (
    ("base_bs", "base_ce"), ("synaug", "base_ce"), ("text", "base_ce"), ("text_image", "text"),
    ("dropout", "text_image"),
    ("loss", "dropout"), ("entropy", "dropout"), ("hardness", "dropout"), ("entropy", "synaug"),
)  # fmt: skip


def by_seed(report: Mapping[str, Any], arm: str, read: Callable[[Mapping[str, Any]], float]) -> list[float] | None:
    """One number per seed; None if the arm lacks a seed, or a seed the number (a shot without classes)."""
    seeds = report["arms"].get(arm, {})
    try:
        found = [read(seeds[str(seed)]) for seed in report["seeds"]]
    except KeyError:
        return None
    return None if None in found else found


def interval(values: Sequence[float] | None, scale: float, digits: int) -> str | None:
    """Mean and 95 % interval as text; the value alone for one seed."""
    if values is None or len(values) < 2:
        return None if values is None else f"{scale * values[0]:.{digits}f}"
    mean, half = mean_ci(values)
    return f"{scale * mean:.{digits}f} ± {scale * half:.{digits}f}"


def accuracy_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Overall and few-shot accuracy in per cent at both budgets, and the images' quality, per arm."""
    rows = []
    known = [arm for arm in TITLES if arm in report["arms"]]
    for arm in [*known, *sorted(set(report["arms"]) - set(known))]:
        cells: dict[str, Any] = {"arm": TITLES.get(arm, arm)}
        for budget in ("full", "half"):
            for shot in ("overall", "few"):
                values = by_seed(report, arm, lambda r, b=budget, s=shot: r[b][s])  # type: ignore[misc]
                cells[f"{shot}, {budget}"] = interval(values, 100, 1)
        for name, digits in (("fid", 1), ("density", 2), ("coverage", 2)):
            cells[name] = interval(by_seed(report, arm, lambda r, n=name: r["quality"][n]), 1, digits)  # type: ignore[misc]
        agreement = by_seed(report, arm, lambda r: r["quality"]["class_agreement"]["overall"])
        cells["class agreement"] = interval(agreement, 100, 1)
        rows.append(cells)
    return rows


def difference_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Paired differences in points of accuracy, with 95 % intervals."""
    rows = []
    more = [(arm, "dropout") for arm in sorted(set(report["arms"]) - set(TITLES))]
    for a, b in (*PAIRS, *more):
        cells: dict[str, Any] = {"difference": f"{TITLES.get(a, a)} - {TITLES[b]}"}
        for budget in ("full", "half"):
            for shot in ("overall", "few"):
                pair = []
                for arm in (a, b):
                    kept = "full" if arm.startswith("base") else budget  # a base has no budget
                    pair.append(by_seed(report, arm, lambda r, k=kept, s=shot: r[k][s]))  # type: ignore[misc]
                if all(values is not None and len(values) > 1 for values in pair):
                    mean, half = paired(pair[0], pair[1])  # type: ignore[arg-type]
                    cells[f"{shot}, {budget}"] = f"{100 * mean:+.1f} ± {100 * half:.1f}"
        if len(cells) > 1:
            rows.append(cells)
    return rows


def criterion_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How much higher each criterion of the finished images is than without feedback, paired by seed."""
    rows = []
    for arm in sorted(set(report["arms"]) - {"dropout"}):
        cells: dict[str, Any] = {"arm": TITLES.get(arm, arm)}
        for name in ("loss", "entropy", "hardness"):
            pair = [by_seed(report, a, lambda r, n=name: r["criteria"][n]) for a in (arm, "dropout")]  # type: ignore[misc]
            if all(values is not None and len(values) > 1 for values in pair):
                mean, half = paired(pair[0], pair[1])  # type: ignore[arg-type]
                cells[name] = f"{mean:+.3f} ± {half:.3f}"
        if len(cells) > 1:
            rows.append(cells)
    return rows


def _per_class(settings: Mapping[str, Any]) -> int:
    """The budget; reports of before November 2026 hold it under `synth`."""
    if "budgets" in settings:
        return settings["budgets"][settings["dataset"]]["per_class"]
    return settings["synth"]["per_class"]


def tables(report: Mapping[str, Any]) -> str:
    """Both tables as Markdown, with a line that says what they show."""
    budgets = [f"{shot}, {budget}" for budget in ("full", "half") for shot in ("overall", "few")]
    seeds = report["seeds"]
    per_class = _per_class(report["settings"])
    caption = (
        f"Accuracy in per cent on the {report['split']} split, mean ± 95 % interval over seeds {seeds[0]} to "
        f"{seeds[-1]}; full budget {per_class} synthetic images per class, half {per_class // 2}. FID, density, "
        "coverage against real validation images in the reference classifier's features.\n\n"
    )
    first = markdown_table(accuracy_rows(report), ["arm", *budgets, "fid", "density", "coverage", "class agreement"])
    second = markdown_table(difference_rows(report), ["difference", *budgets])
    text = f"{caption}{first}\nPaired differences, in points:\n\n{second}"
    if rows := criterion_rows(report):
        third = markdown_table(rows, ["arm", "loss", "entropy", "hardness"])
        text += (
            "\nThe base classifier's mean criterion over the finished images, minus that without feedback, paired:\n\n"
            + third
        )
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--readme", type=Path, required=True)
    options = parser.parse_args()
    write_between(options.readme, tables(read_json(options.report)), "evidence")


if __name__ == "__main__":
    run_stage(main)
