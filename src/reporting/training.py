"""The report's part on classifiers: which classes they confuse, how sure they are, and how their training went."""

from collections.abc import Callable

import numpy as np

from src.reporting.blocks import Block, Figure, Section, Side, Table, Text
from src.reporting.charts import curves
from src.reporting.number_format import MISSING, number, percent
from src.reporting.panels import confusion, reliability
from src.reporting.run_results import Run, dig, in_order, title

DRAWN = 25  # classes up to which a confusion matrix can be read
TOP = 5  # confusions to name
# What a curve's column means: heading, whether on a logarithmic axis, whether a share.
COLUMNS = {"accuracy": ("Validation accuracy", False, True), "loss": ("Training loss (logarithmic axis)", True, False)}


def errors(run: Run) -> Section:
    """Confusion and calibration of every arm."""
    told = [arm for arm in run.arms if dig(run.accuracy, arm, "confusion") and dig(run.accuracy, arm, "per_class")]
    blocks: list[Block] = [Text(f"Confusion: {MISSING}, or too many classes to keep a matrix of.")]
    if told and len(run.classes) <= DRAWN:
        blocks = [Side([_confusion(run, arm) for arm in told])]
    elif told:
        rows = [[title(arm), "; ".join(_worst(run, arm)) or "none"] for arm in told]
        blocks = [Table("The most frequent confusions", ["", "taken for another"], rows, words=True)]
    arms = [*run.arms, *(arm for arm in run.calibration if arm not in run.arms)]
    sure = [figure for arm in arms if (figure := _reliability(run, arm))]
    if sure:
        note = (
            "Calibration: right answers among predictions of one confidence. On the diagonal a classifier is as sure "
        )
        note += "as it should be; bars below tell how many predictions there are."
        blocks += [Text(note), Side(sure, narrow=True)]
    else:
        blocks.append(Text(f"Calibration by confidence: {MISSING} in this revision."))
    return Section("errors", "Confusion and calibration", blocks)


def training(run: Run) -> Section:
    """Loss and validation accuracy over the steps."""
    figures = [figure for column in COLUMNS if (figure := curve(run, column))]
    shown: list[Block] = [Side(figures)] if figures else [Text(f"Training curves: {MISSING}.")]
    return Section("training", "Training", shown)


def curve(run: Run, column: str, suffix: str = "") -> Figure | None:
    """One column of the arms' curves over the steps; None where there is none."""
    heading, log, share = COLUMNS[column]
    series = {
        arm: [(row["step"], row[column]) for row in run.curves[arm] if {"step", column} <= row.keys()]
        for arm in in_order(run.curves)
    }
    series = {arm: points for arm, points in series.items() if any(y > 0 for _, y in points)}
    if not series:
        return None
    words: Callable[[float], str] = percent if share else _fine
    ends = {arm: points[-1] for arm, points in series.items()}
    alt = f"{heading}{suffix} over training steps. At the end: " + ", ".join(
        f"{title(arm)} {words(y)}" for arm, (_, y) in ends.items()
    )
    steps = sorted({x for points in series.values() for x, _ in points})
    values = {arm: dict(points) for arm, points in series.items()}
    rows = [[number(int(step)), *(_cell(values[arm].get(step), words) for arm in series)] for step in steps]
    table = Table(f"{heading}{suffix}", ["step", *map(title, series)], rows)
    return Figure(f"{heading}{suffix}", curves(series, alt, log=log, share=share), alt, table)


def _fine(value: float) -> str:
    return number(value, 4)


def _cell(value: float | None, words: Callable[[float], str]) -> str:
    return "" if value is None else words(value)


def _confusion(run: Run, arm: str) -> Figure:
    matrix, classes = run.accuracy[arm]["confusion"], list(run.accuracy[arm]["per_class"])
    caption = f"Confusion, {title(arm)}: per cent of the true class (row) by prediction (column)"
    alt = f"Confusion matrix of {title(arm)}. Most frequent confusions: {'; '.join(_worst(run, arm)) or 'none'}."
    rows = [[name, *(number(int(count)) for count in row)] for name, row in zip(classes, matrix, strict=True)]
    table = Table(f"Test images of {title(arm)} by true class (row) and prediction (column)", ["", *classes], rows)
    return Figure(caption, confusion(matrix, classes, alt), alt, table)


def _worst(run: Run, arm: str) -> list[str]:
    counts, classes = np.array(run.accuracy[arm]["confusion"]), list(run.accuracy[arm]["per_class"])
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:TOP]
    pairs = [divmod(int(k), len(classes)) for k in order]
    return [f"{classes[i]} taken for {classes[j]}, {percent(shares[i, j])}" for i, j in pairs if shares[i, j] > 0]


def _reliability(run: Run, arm: str) -> Figure | None:
    rows = [row for row in run.calibration.get(arm, ()) if row.get("share")]
    if not rows or not all({"confidence", "accuracy"} <= row.keys() for row in rows):
        return None
    ece, last = dig(run.accuracy, arm, "ece"), rows[-1]
    caption = f"Calibration, {title(arm)}"
    alt = f"{caption}: expected calibration error {percent(ece)}. At the highest confidence, "
    alt += f"{percent(last['confidence'])}, {percent(last['accuracy'])} are right, of {percent(last['share'])} of all."
    cells = [[percent(row[name]) for name in ("confidence", "accuracy", "share")] for row in rows]
    table = Table(caption, ["confidence", "right", "share of predictions"], cells)
    return Figure(caption, reliability(arm, rows, ece, alt), alt, table)
