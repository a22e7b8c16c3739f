"""What balancing improved, as Markdown for the owner of the data: by class, rarest first, and what is beyond noise.

Everything comes from metrics/accuracy.json and metrics/confusion/*.csv, which hold every arm's predictions of the same
test images in the same order.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.data.imbalance import shots
from src.evaluation.paired_tests import changes_needed, holm, interval, outcomes, p_value, posterior_interval
from src.runtime.errors import InputError
from src.runtime.files import csv_rows, read_bytes
from src.runtime.markdown import markdown_table
from src.settings.arms import BASE, BOUND

Measure = Callable[[np.ndarray], np.ndarray]

SHOTS = {"many": "many (> 100 training images)", "medium": "medium (20 to 100)", "few": "few (< 20)"}
ABOUT = """\
Accuracy in per cent: of a class's test images, of a shot's the mean over its classes. Differences to the base in
points, with 95 % intervals, in bold where they are beyond noise: for a class by McNemar's exact test, corrected for the
number of classes (Holm), for the rest where the interval excludes zero, a paired credible one that every class with few
test images widens. All this is about the draw of the test images alone: another seed trains another classifier, so
repeat what matters with other seeds.
"""


@dataclass(frozen=True)
class Predictions:
    """Every arm's right answers, {arm: (N,) bool}, and the images' class (N,) and stratum (N,) below `strata`.

    A stratum is a class, or with contexts a class in a context; all of them have images."""

    right: dict[str, np.ndarray]
    classes: np.ndarray
    stratum: np.ndarray
    strata: int
    grouped: bool


def read_predictions(folder: Path, report: Mapping[str, Any]) -> Predictions:
    """Read `folder`/<arm>.csv of every arm of an accuracy report; InputError where they do not belong together."""
    names = list(report[BASE]["per_class"])
    tables = {arm: _columns(folder / f"{arm}.csv") for arm in report}
    truth = tables[BASE].get("actual", np.array([]))
    for arm, table in tables.items():
        same = {"actual", "predicted"} <= table.keys() and np.array_equal(table["actual"], truth)
        known = len(truth) > 0 and set(truth.tolist()) <= set(names)
        if not (same and known) or abs(np.mean(table["predicted"] == truth) - report[arm]["overall"]) > 1e-9:
            raise InputError(
                f"{folder / arm}.csv and metrics/accuracy.json are not of one run; run `dvc repro eval_acc` again"
            )
    numbers = {name: k for k, name in enumerate(names)}
    classes = np.array([numbers[name] for name in truth])
    contexts = np.unique(tables[BASE].get("context", np.zeros(len(truth))), return_inverse=True)[1]
    strata, stratum = np.unique(np.stack([classes, contexts]), axis=1, return_inverse=True)
    right = {arm: table["predicted"] == truth for arm, table in tables.items()}
    return Predictions(right, classes, stratum.reshape(-1), strata.shape[1], "context" in tables[BASE])


def _columns(path: Path) -> dict[str, np.ndarray]:
    reader = csv_rows(read_bytes(path))
    rows = list(reader)
    return {name: np.array([row[name] for row in rows]) for name in reader.fieldnames or ()}


def measures(predictions: Predictions, counts: Sequence[int]) -> dict[str, Measure]:
    """Return what is made of the strata's accuracies (R, K): overall, shots, mean of classes, worst and mean group."""
    images = np.bincount(predictions.stratum, minlength=predictions.strata)
    owner = np.zeros(predictions.strata, dtype=int)
    owner[predictions.stratum] = predictions.classes
    within = images / np.bincount(predictions.classes, minlength=len(counts))[owner]  # a stratum's share of its class

    def mean_of(classes: Sequence[int]) -> np.ndarray:
        chosen = np.isin(owner, classes)
        return within * chosen / max(len(set(owner[chosen].tolist())), 1)

    weights = {"overall": images / images.sum()}
    weights |= {SHOTS[shot]: mean_of(classes) for shot, classes in shots(counts).items()}
    weights["mean of classes"] = mean_of(range(len(counts)))
    functions: dict[str, Measure] = {name: _weigh(row) for name, row in weights.items() if row.any()}
    if predictions.grouped:
        functions |= {"worst group": lambda a: a.min(1), "mean of groups": lambda a: a.mean(1)}
    return functions


def improvement_report(report: Mapping[str, Any], predictions: Predictions) -> str:
    """Return the Markdown. report: metrics/accuracy.json. predictions: those behind it."""
    arms = [arm for arm in report if arm not in (BASE, BOUND)]
    # As Markdown shows them literally: a name is data, and may hold markup.
    names = [re.sub(r"([\\`*\[\]<>])", r"\\\1", name) for name in report[BASE]["per_class"]]
    counts = [row["train_images"] for row in report[BASE]["per_class"].values()]
    order = sorted(range(len(names)), key=lambda k: counts[k])
    right, classes = predictions.right, predictions.classes
    tables = {arm: outcomes(right[BASE], right[arm], classes, len(names)) for arm in arms}
    clear = {arm: _clear(table) for arm, table in tables.items()}
    rows = [{"class": names[k], "training": counts[k], **_class_row(k, tables, clear)} for k in order]
    bound = [BOUND] if BOUND in report and report[BOUND].get("bound", True) else []
    pairs = [column for arm in arms for column in (arm, f"{arm} - {BASE}")]
    return "\n".join(
        [
            "# What balancing improved\n",
            ABOUT,
            *(_sentences(arm, [names[k] for k in order], tables[arm][order], clear[arm][order]) for arm in arms),
            markdown_table(_summaries(predictions, counts, arms, bound), ["", BASE, *pairs, *bound]),
            markdown_table(rows, ["class", "training", "test", BASE, *pairs]),
        ]
    )


def _class_row(k: int, tables: Mapping[str, np.ndarray], clear: Mapping[str, np.ndarray]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for arm, table in tables.items():
        both, lost, gained, _ = (int(images) for images in table[k])
        row["test"] = images = int(table[k].sum())
        if images:
            row |= {BASE: 100 * (both + lost) / images, arm: 100 * (both + gained) / images}
            ends = interval(lost, gained, images)
            row[f"{arm} - {BASE}"] = _difference((gained - lost) / images, ends, clear[arm][k])
    return row


def _summaries(
    predictions: Predictions, counts: Sequence[int], arms: Sequence[str], bound: Sequence[str]
) -> list[dict[str, Any]]:
    """A row for each measure: every arm's value and, for the arms, the difference to the base."""
    rows = []
    for name, measure in measures(predictions, counts).items():
        row: dict[str, Any] = {"": name}
        for arm in (*arms, *bound):
            table = outcomes(predictions.right[BASE], predictions.right[arm], predictions.stratum, predictions.strata)
            base, other = (float(measure((table[:, [0, j]].sum(1) / table.sum(1))[None])[0]) for j in (1, 2))
            ends = posterior_interval(table, measure, arm)
            row |= {BASE: 100 * base, arm: 100 * other}
            row[f"{arm} - {BASE}"] = _difference(other - base, ends, ends[0] > 0 or ends[1] < 0)
        rows.append(row)
    return rows


def _weigh(weights: np.ndarray) -> Measure:
    return lambda accuracies: accuracies @ weights


def _clear(table: np.ndarray) -> np.ndarray:
    clear, tested = np.zeros(len(table), dtype=bool), table.sum(1) > 0
    clear[tested] = holm([p_value(int(lost), int(gained)) for _, lost, gained, _ in table[tested]])
    return clear


def _difference(value: float, ends: tuple[float, float], clear: bool) -> str:
    text = f"{100 * value:+.1f}"
    return f"{f'**{text}**' if clear else text} [{100 * ends[0]:+.1f}, {100 * ends[1]:+.1f}]"


def _sentences(arm: str, names: Sequence[str], table: np.ndarray, clear: np.ndarray) -> str:
    """Which classes improved, which got worse, and which the test cannot judge, in the order given."""
    images, gain = table.sum(1), table[:, 2] - table[:, 1]
    needed = changes_needed(int((images > 0).sum()))
    groups = {
        "Improved beyond noise": clear & (gain > 0),
        "Got worse beyond noise": clear & (gain < 0),
        "No difference that this test can tell": ~clear & (images >= needed),
    }
    sentences = [f"**{arm}** against {BASE}."]
    for title, kept in groups.items():
        sentences.append(f"{title}: {', '.join(names[k] for k in np.flatnonzero(kept).tolist()) or 'none'}.")
    if few := [f"{names[k]} ({images[k]})" for k in np.flatnonzero(~clear & (images < needed)).tolist()]:
        sentences.append(
            f"**Too few test images to tell**: {', '.join(few)}; with fewer than {needed} no change of a class can "
            "show, so collect more test images of these before you trust either classifier with them."
        )
    else:
        sentences.append(f"A class shows a change from {needed} of its test images on, if all change the same way.")
    return " ".join(sentences) + "\n"
