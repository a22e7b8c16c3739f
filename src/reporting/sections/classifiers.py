"""The report's part on classifiers: which classes they confuse, how sure they are, and how their training went."""

from collections.abc import Callable

import numpy as np

from src.reporting.blocks import Block, Figure, Side, Table, columns_of
from src.reporting.charts import confusion, curves, reliability
from src.reporting.run_results import Run, dig, in_order
from src.reporting.wording import MISSING, listed, number, percent, title, with_titles

DRAWN = 25  # classes up to which a confusion matrix can be read
NAMED = 5  # confusions
# What a curve's column means: heading, whether on a logarithmic axis, whether a share.
COLUMNS = {"accuracy": ("Validation accuracy", False, True), "loss": ("Training loss (logarithmic axis)", True, False)}


def errors(run: Run) -> list[Block]:
    """Confusion and calibration of every arm."""
    arms = [arm for arm in run.arms if dig(run.accuracy, arm, "confusion") and dig(run.accuracy, arm, "per_class")]
    blocks: list[Block] = [f"Confusion: {MISSING}, or too many classes to keep a matrix of."]
    if arms and len(run.train_counts) <= DRAWN:
        blocks = [Side([_confusion(run, arm) for arm in arms])]
    elif arms:
        rows = [[title(arm), _worst(run, arm)] for arm in arms]
        blocks = [Table("The most frequent confusions", ["", "taken for another"], rows, words=True)]
    judged = dict.fromkeys([*run.arms, *run.calibration])
    figures = [figure for arm in judged if (figure := _reliability(run, arm))]
    if not figures:
        return [*blocks, f"Calibration by confidence: {MISSING} in this revision."]
    note = "Calibration: right answers among predictions of one confidence. On the diagonal a classifier is as sure as "
    note += "it should be; bars below tell how many predictions there are."
    return [*blocks, note, Side(figures, narrow=True)]


def training(run: Run) -> list[Block]:
    """Loss and validation accuracy over the steps."""
    figures = [figure for column in COLUMNS if (figure := curve(run, column))]
    ends = {arm: run.curves[arm][-1].get("step") for arm in in_order(run.curves) if run.curves[arm]}
    steps = {arm: int(end) for arm, end in ends.items() if end is not None}
    blocks: list[Block] = [Side(figures)] if figures else []
    if len(set(steps.values())) > 1:
        told = listed(with_titles(steps, lambda count: f"{number(count)} steps"))
        blocks.append(
            f"Not all were trained equally long ({told}), for the recipe counts epochs: part of a difference may be "
            "that. `recipes.<data set>.steps` in place of `epochs` makes them equal."
        )
    return blocks or [f"Training curves: {MISSING}."]


def curve(run: Run, column: str, suffix: str = "") -> Figure | None:
    """One column of the arms' curves over the steps; None where there is none."""
    name, log, share = COLUMNS[column]
    heading = name + suffix
    series = {
        arm: [(row["step"], row[column]) for row in run.curves[arm] if {"step", column} <= row.keys()]
        for arm in in_order(run.curves)
    }
    series = {arm: points for arm, points in series.items() if any(y > 0 for _, y in points)}
    if not series:
        return None
    write: Callable[[float], str] = percent if share else lambda value: number(value, 4)
    ends = {arm: points[-1][1] for arm, points in series.items()}
    alt = f"{heading} over training steps. At the end: {', '.join(with_titles(ends, write))}"
    values = {arm: dict(points) for arm, points in series.items()}
    rows = [
        [number(int(step)), *(write(row[step]) if step in row else "" for row in values.values())]
        for step in sorted({step for row in values.values() for step in row})
    ]
    table = Table(heading, columns_of(series, "step"), rows)
    return Figure(heading, curves(series, alt, log=log, share=share), alt, table)


def _confusion(run: Run, arm: str) -> Figure:
    matrix, classes = run.accuracy[arm]["confusion"], list(run.accuracy[arm]["per_class"])
    caption = f"Confusion, {title(arm)}: per cent of the true class (row) by prediction (column)"
    alt = f"Confusion matrix of {title(arm)}. Most frequent confusions: {_worst(run, arm)}."
    rows = [[name, *(number(int(count)) for count in row)] for name, row in zip(classes, matrix, strict=True)]
    table = Table(f"Test images of {title(arm)} by true class (row) and prediction (column)", ["", *classes], rows)
    return Figure(caption, confusion(matrix, classes, alt), alt, table)


def _worst(run: Run, arm: str) -> str:
    """The arm's most frequent confusions in words, as shares of the true class."""
    counts, classes = np.array(run.accuracy[arm]["confusion"]), list(run.accuracy[arm]["per_class"])
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:NAMED]
    pairs = [divmod(int(k), len(classes)) for k in order]
    words = [f"{classes[i]} taken for {classes[j]}, {percent(shares[i, j])}" for i, j in pairs if shares[i, j] > 0]
    return "; ".join(words) or "none"


def _reliability(run: Run, arm: str) -> Figure | None:
    rows = [row for row in run.calibration.get(arm, ()) if row.get("share")]
    columns = {"confidence": "confidence", "accuracy": "right", "share": "share of predictions"}
    if not rows or not all(columns.keys() <= row.keys() for row in rows):
        return None
    ece, last = dig(run.accuracy, arm, "ece"), rows[-1]
    caption = f"Calibration, {title(arm)}"
    alt = f"{caption}: expected calibration error {percent(ece)}. At the highest confidence, "
    alt += f"{percent(last['confidence'])}, {percent(last['accuracy'])} are right, of {percent(last['share'])} of all."
    table = Table(caption, list(columns.values()), [[percent(row[name]) for name in columns] for row in rows])
    return Figure(caption, reliability(arm, rows, ece, alt), alt, table)
