"""A study in words and numbers: its table, its rows, and what image metrics say about the gain."""

from collections.abc import Mapping, Sequence
from typing import Any

from src.evaluation.intervals import plus_minus
from src.runtime.files import csv_rows
from src.runtime.markdown import markdown_table
from src.studies.origin import CHANGED, OLDER, PROTOCOL, UNKNOWN, Origin
from src.studies.study import VALIDATION, Study, Variant
from src.studies.summary import (
    POINTS,
    Measured,
    cell,
    compared,
    compares,
    difference,
    digits,
    heading,
    name_of,
    sample,
    verdict,
)


def markdown(
    study: Study,
    measured: Measured,
    failures: Mapping[str, str],
    predicted: Sequence[Mapping[str, str]] = (),
    origin: Origin = UNKNOWN,
) -> str:
    """The table with differences, what was reported elsewhere, the verdict in the metrics judged, and what failed.

    failures: why failed experiments failed. predicted: of `predictions`. origin: whose code made the rows.
    """
    text = [
        f"# {study.title}\n",
        f"{origin.sentence}\n" if origin.sentence else "",
        f"{study.question}\n",
        f"Note: {study.note}.\n" if study.note else "",
        f"Before there were studies: [{study.history}](../history/{study.history}).\n" if study.history else "",
        f"{caption(study)}.\n",
        numbers(study, measured),
        _figure(study, "-map") if study.map else "",
        _figure(study, ""),
        _reported(study),
        _in_words(study, measured),
    ]
    if predicted:
        text += [_predicted(study, predicted), _figure(study, "-usefulness")]
    elif study.unpredicted:
        text.append(f"What image metrics tell of the gain is not asked here: {study.unpredicted}.\n")
    if failures:
        text.append("\n".join(["Failed:", *(f"- {name}: {why}" for name, why in sorted(failures.items()))]) + "\n")
    return "\n".join(part for part in text if part)


def numbers(study: Study, measured: Measured) -> str:
    """The table of all variants, and of their differences if there are any."""
    table = markdown_table([shown(study, measured, variant) for variant in study.variants], columns(study))
    less = differences(study, measured)
    lead = "\nPaired by seed, each interval at 95 % by itself:\n\n"
    return table + (lead + markdown_table(less, difference_columns(study)) if less else "")


def caption(study: Study) -> str:
    """What the table's numbers are: of how many seeds, on which split."""
    split = "validation" if study.split == VALIDATION else "test"
    how = "Mean ± 95 % interval" if len(study.seeds) > 1 else "Measured"
    return f"{how}, {sample(study)}; accuracies on the {split} split"


def figures(study: Study) -> dict[str, str]:
    """What each figure shows, by the ending of its name before .png."""
    what = f"Paired differences in {', '.join(map(name_of, study.judged))} with 95 % intervals, {sample(study)}; "
    what += "filled where the difference holds together with the others (Holm)"
    if not compares(study):
        what = f"Means of {', '.join(map(name_of, study.metrics))} of each variant, {sample(study)}"
    gain = f"Image metrics of each experiment against what it gained in {name_of(study.metrics[0])}, both less the "
    where = f"Mean {name_of(study.metrics[0])} of each cell, and what it gains over none against what images are, "
    where += sample(study)
    return {"": what, "-map": where, "-usefulness": f"{gain}means of its seed, {sample(study)}"}


def _figure(study: Study, ending: str) -> str:
    return f"![{figures(study)[ending]}]({study.name}{ending}.png)\n"


def rows(study: Study, measured: Measured, origin: Origin = UNKNOWN) -> list[dict[str, Any]]:
    """One row per variant, seed and metric, as measured, with the commits whose code made it."""
    table = []
    for variant in study.variants:
        for seed in study.seeds:
            values = measured.get(variant.name, {}).get(seed, {})
            cells = {metric: values.get(metric) for metric in study.metrics}
            table.append({"variant": variant.name, "seed": seed, "code": origin.label if values else None, **cells})
    return table


def read_rows(content: bytes) -> dict[str, dict[int, dict[str, float | None]]]:
    """The measured values back from the CSV of `rows`. ValueError or LookupError for another file."""
    measured: dict[str, dict[int, dict[str, float | None]]] = {}
    for row in csv_rows(content):
        name, seed = row.pop("variant"), int(row.pop("seed"))
        row.pop("code", None)
        measured.setdefault(name, {})[seed] = {metric: float(value) if value else None for metric, value in row.items()}
    return measured


def older_commits(content: bytes) -> str | None:
    """The commits whose code made the rows of a study's CSV, if that was older code; else None."""
    origin = origin_of(content, {})
    return ", ".join(origin.commits) if origin.older else None


def origin_of(content: bytes, protocols: Mapping[str, int]) -> Origin:
    """Whose code made the rows of a study's CSV. protocols: of commits, by their short hashes."""
    labels = {row.get("code") or "" for row in csv_rows(content)} - {""}
    names = [label.removesuffix(OLDER).removesuffix(CHANGED) for label in labels]
    commits = sorted({commit for name in names for commit in name.split(", ")})
    protocol = min((protocols.get(commit, PROTOCOL) for commit in commits), default=PROTOCOL)
    older, changed = (any(label.endswith(mark) for label in labels) for mark in (OLDER, CHANGED))
    return Origin(tuple(commits), older, protocol, changed)


def columns(study: Study) -> list[str]:
    """The table's columns, as keys of `shown`."""
    return ["variant", *map(heading, study.metrics)]


def shown(study: Study, measured: Measured, variant: Variant) -> dict[str, Any]:
    """A variant's row in words; None where a seed is missing."""
    cells = {metric: cell(study, measured, variant, metric) for metric in study.metrics}
    texts = {heading(name): pair and plus_minus(*pair, digits(name)) for name, pair in cells.items()}
    return {"variant": variant.name, **texts}


def difference_columns(study: Study) -> list[str]:
    """The columns of the paired differences, as keys of `differences`."""
    return ["difference", *(heading(metric, POINTS) for metric in study.metrics)]


def differences(study: Study, measured: Measured) -> list[dict[str, Any]]:
    """A row for each pair that is compared, in words; none where there is a single seed."""
    table = []
    for pair in compared(study):
        found = {metric: difference(study, measured, pair, metric) for metric in study.metrics}
        if known := [d for d in found.values() if d is not None]:
            sizes = {heading(metric, POINTS): d and d.size for metric, d in found.items()}
            table.append({"difference": known[0].between("less"), **sizes})
    return table


def _in_words(study: Study, measured: Measured) -> str:
    lines = verdict(study, measured)
    lead = "In words; what is higher or lower holds together with the others at 95 % (Holm):"
    return "\n".join([lead, "", *(f"- {_item(line)}" for line in lines)]) + "\n" if lines else ""


def _item(line: str) -> str:
    """A list's item that Markdown does not take for another list or a heading: '+ Mixup' is a variant's name."""
    return f"\\{line}" if line[:1] in "+-#*" else line


REPORTED = ["variant", "metric", "reported", "source"]


def reported(study: Study) -> list[dict[str, Any]]:
    """What the literature reports, by the columns REPORTED; a number that could not be read is called unknown."""
    numbers = ["unknown" if entry["value"] is None else entry["value"] for entry in study.reported]
    return [
        {"variant": entry["variant"], "metric": name_of(entry["metric"]), "reported": number, "source": entry["source"]}
        for entry, number in zip(study.reported, numbers, strict=True)
    ]


def _reported(study: Study) -> str:
    if not study.reported:
        return "Reported elsewhere: no number that could be read offline.\n"
    return "Reported elsewhere, on other data:\n\n" + markdown_table(reported(study), REPORTED)


PREDICTED = ["metric", "rank correlation", "95 % interval"]


def predictions(predicted: Mapping[str, tuple[float, float, float]]) -> list[dict[str, str]]:
    """The rank correlation of each image metric with the gain, in words, by the columns PREDICTED."""
    return [
        {"metric": name_of(name), "rank correlation": f"{rho:+.2f}", "95 % interval": f"{low:+.2f} to {high:+.2f}"}
        for name, (rho, low, high) in predicted.items()
    ]


def _predicted(study: Study, predicted: Sequence[Mapping[str, str]]) -> str:
    """Whether an image metric orders a seed's experiments as their gain does."""
    lead = f"Does an image metric predict the gain in {name_of(study.metrics[0])}? Spearman's rho over a seed's "
    lead += "experiments, in each column of the map by itself, " if study.map else "experiments, "
    lead += "its mean over seeds with Student's interval; it says nothing of settings that were not run:"
    return f"{lead}\n\n" + markdown_table(predicted, PREDICTED)
