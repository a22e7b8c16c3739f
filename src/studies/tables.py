"""A study in words and numbers: its table, its rows, and what image metrics say about the gain."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from src.runtime.markdown import markdown_table
from src.studies.study import Study, Variant
from src.studies.summary import Cell, Measured, cell, digits, verdict


def markdown(
    study: Study,
    measured: Measured,
    failures: Mapping[str, str],
    predicted: Mapping[str, tuple[float, float, float]] | None = None,
) -> str:
    """The table with differences, what was reported elsewhere, the verdict in the metrics judged, and what failed.

    failures: what failed experiments said. predicted: for each image metric the rank correlation of its value with the
    gain, and its 95 % interval.
    """
    span = f"{study.seeds[0]} to {study.seeds[-1]}" if len(study.seeds) > 1 else str(study.seeds[0])
    how = f"Mean ± 95 % interval over {len(study.seeds)} seeds" if len(study.seeds) > 1 else "One seed"
    text = [
        f"# {study.title}\n",
        f"{study.question}\n",
        f"Note: {study.note}.\n" if study.note else "",
        f"{how} ({span}); accuracies and agreement in per cent.\n",
        markdown_table([shown(study, measured, variant) for variant in study.variants], columns(study)),
        _differences(study, measured),
        _figure(study, ""),
        _reported(study),
        _said(study, measured),
    ]
    if predicted:
        text += [_predicted(study, predicted), _figure(study, "-usefulness")]
    elif study.unpredicted:
        text.append(f"What image metrics tell of the gain is not asked here: {study.unpredicted}.\n")
    if failures:
        text.append("\n".join(["Failed:", *(f"- {name}: {said}" for name, said in sorted(failures.items()))]) + "\n")
    return "\n".join(part for part in text if part)


def figures(study: Study) -> dict[str, str]:
    """What each figure shows, by the ending of its name before .png."""
    return {
        "": f"Mean and 95 % interval of {', '.join(study.metrics)} for each variant",
        "-usefulness": f"Image metrics of each experiment against what it gained in {study.metrics[0]} accuracy, both "
        "less the means of its seed",
    }


def _figure(study: Study, ending: str) -> str:
    return f"![{figures(study)[ending]}]({study.name}{ending}.png)\n"


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
    return ["variant", *study.metrics]


def shown(study: Study, measured: Measured, variant: Variant) -> dict[str, Any]:
    """A variant's row in words; None where a seed is missing."""
    cells = {metric: cell(study, measured, variant, metric) for metric in study.metrics}
    return {"variant": variant.name, **{metric: _text(found, digits(metric)) for metric, found in cells.items()}}


def difference_columns(study: Study) -> list[str]:
    """The columns of the paired differences, as keys of `differences`."""
    return ["difference", *study.metrics]


def differences(study: Study, measured: Measured) -> list[dict[str, Any]]:
    """A row for each variant that is compared with another, in words; none where there is a single seed."""
    rows = []
    for variant in study.variants:
        cells = {metric: cell(study, measured, variant, metric) for metric in study.metrics}
        told = {metric: _signed(found, digits(metric)) for metric, found in cells.items()}
        if any(text is not None for text in told.values()):
            rows.append({"difference": f"{variant.name} - {variant.against}", **told})
    return rows


def _differences(study: Study, measured: Measured) -> str:
    found = differences(study, measured)
    if not found:
        return ""
    lead = "Paired by seed, each interval at 95 % by itself:\n\n"
    return lead + markdown_table(found, difference_columns(study))


def _said(study: Study, measured: Measured) -> str:
    lines = verdict(study, measured)
    lead = "In words; 'more' and 'less' hold together at 95 % (Holm):"
    return "\n".join([lead, "", *(f"- {_item(line)}" for line in lines)]) + "\n" if lines else ""


def _item(line: str) -> str:
    """A list's item that Markdown does not take for another list or a heading: '+ Mixup' is a variant's name."""
    return f"\\{line}" if line[:1] in "+-#*" else line


def _signed(found: Cell | None, decimals: int) -> str | None:
    if found is None or found.difference is None:
        return None
    return f"{found.difference[0]:+.{decimals}f} ± {found.difference[1]:.{decimals}f}"


def _text(found: Cell | None, decimals: int) -> str | None:
    if found is None:
        return None
    return f"{found.mean:.{decimals}f}" + ("" if found.half is None else f" ± {found.half:.{decimals}f}")


REPORTED = ["variant", "metric", "reported", "source"]


def reported(study: Study) -> list[dict[str, Any]]:
    """What the literature reports, by the columns REPORTED; a number that could not be read is called unknown."""
    return [
        {"variant": e["variant"], "metric": e["metric"], "reported": "unknown" if e["value"] is None else e["value"],
         "source": e["source"]}
        for e in study.reported
    ]  # fmt: skip


def _reported(study: Study) -> str:
    if not study.reported:
        return "Reported elsewhere: no number that could be read offline.\n"
    return "Reported elsewhere, on other data:\n\n" + markdown_table(reported(study), REPORTED)


PREDICTED = ["metric", "rank correlation", "95 % interval"]


def predictions(predicted: Mapping[str, tuple[float, float, float]]) -> list[dict[str, str]]:
    """The rank correlation of each image metric with the gain, in words, by the columns PREDICTED."""
    return [
        {"metric": name, "rank correlation": f"{rho:+.2f}", "95 % interval": f"{low:+.2f} to {high:+.2f}"}
        for name, (rho, low, high) in predicted.items()
    ]


def _predicted(study: Study, predicted: Mapping[str, tuple[float, float, float]]) -> str:
    """Whether an image metric orders a seed's experiments as their gain does."""
    rows = predictions(predicted)
    said = f"Does an image metric predict the gain in {study.metrics[0]} accuracy? Spearman's rho over a seed's "
    said += "experiments, its mean over seeds with Student's interval; it says nothing of settings that were not run:"
    return f"{said}\n\n" + markdown_table(rows, PREDICTED)
