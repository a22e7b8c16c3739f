"""A study in words and numbers: its table, its rows, and what image metrics say about the gain."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from src.report import markdown_table
from src.studies.study import Study
from src.studies.summary import Cell, Measured, cell, verdict

DIGITS = {"fid": 1, "density": 2, "coverage": 2, "precision": 2, "recall": 2, "loss": 2, "entropy": 2}


def markdown(
    study: Study,
    measured: Measured,
    failures: Mapping[str, str],
    predicted: Mapping[str, tuple[float, float, float]] | None = None,
) -> str:
    """The table with differences, what was reported elsewhere, the main metric's verdict, and what failed.

    failures: what failed experiments said. predicted: for each image metric the rank correlation of its value with the
    gain, and its 95 % interval.
    """
    span = f"{study.seeds[0]} to {study.seeds[-1]}" if len(study.seeds) > 1 else str(study.seeds[0])
    table = markdown_table([shown(study, measured, variant.name) for variant in study.variants], columns(study))
    text = [
        f"# {study.title}\n",
        f"{study.question}\n",
        f"Mean ± 95 % interval over {len(study.seeds)} seeds ({span}); accuracies and agreement in per cent; "
        f"differences to '{study.against}', paired by seed.\n",
        table,
        _reported(study),
        "\n".join(["In words:", *(f"- {line}" for line in verdict(study, measured, study.metrics[0]))]) + "\n",
    ]
    if predicted:
        text.append(_predicted(study, predicted))
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


def read_rows(content: bytes) -> dict[str, dict[int, dict[str, float | None]]]:
    """The measured values back from the CSV of `rows`. ValueError or LookupError for another file."""
    measured: dict[str, dict[int, dict[str, float | None]]] = {}
    for row in csv.DictReader(io.StringIO(content.decode())):
        name, seed = row.pop("variant"), int(row.pop("seed"))
        measured.setdefault(name, {})[seed] = {metric: float(value) if value else None for metric, value in row.items()}
    return measured


def columns(study: Study) -> list[str]:
    """The table's columns, as keys of `shown`."""
    return ["variant", *study.metrics, f"{study.metrics[0]}, difference"]


def shown(study: Study, measured: Measured, name: str) -> dict[str, Any]:
    """A variant's row in words; None where a seed is missing."""
    cells = {metric: cell(study, measured, name, metric) for metric in study.metrics}
    row: dict[str, Any] = {"variant": name, **{m: _text(c, DIGITS.get(m, 1)) for m, c in cells.items()}}
    first = cells[study.metrics[0]]
    if first is not None and first.difference is not None:
        digits = DIGITS.get(study.metrics[0], 1)
        row[f"{study.metrics[0]}, difference"] = f"{first.difference[0]:+.{digits}f} ± {first.difference[1]:.{digits}f}"
    return row


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


def _predicted(study: Study, predicted: Mapping[str, tuple[float, float, float]]) -> str:
    """Whether an image metric orders a seed's experiments as their gain does."""
    rows = [
        {"metric": name, "rank correlation": f"{rho:+.2f}", "95 % interval": f"{low:+.2f} to {high:+.2f}"}
        for name, (rho, low, high) in predicted.items()
    ]
    said = f"Does an image metric predict the gain in {study.metrics[0]} accuracy? Within a seed, over all experiments:"
    return f"{said}\n\n" + markdown_table(rows, ["metric", "rank correlation", "95 % interval"])
