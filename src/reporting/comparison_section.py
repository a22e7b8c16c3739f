"""One run beside another: what was set differently, what came out differently, and the curves of both."""

from src.reporting.blocks import Block, Section, Side, Table, Text
from src.reporting.classifier_sections import COLUMNS, curve
from src.reporting.diagnosis import diagnose
from src.reporting.gains import Ends, intervals
from src.reporting.image_sections import METRICS
from src.reporting.measures import accuracies, feature_space, label, overall_metrics
from src.reporting.parameters import different_parameters
from src.reporting.run_results import Run, dig
from src.reporting.wording import MISSING, interval, listed, number, percent, points, signed, title
from src.settings.arms import BASE, BOUND

SIDES = ["", "here", "there", "here minus there"]


def comparison_section(run: Run, other: Run) -> Section:
    """Differences are this run's minus the other's."""
    there = other.revision
    commit = f" (commit {there.commit[:12]}, {there.date})" if there.commit else ""
    blocks: list[Block] = [
        Text(f"Compared with {there.name}{commit}."),
        different_parameters("Parameters that differ", ("parameter", "here", "there"), run.params, other.params),
        _accuracies(run, other),
        _image_metrics(run, other),
        Text(f"The diagnosis there: {_diagnosis(other)}."),
    ]
    for column in COLUMNS:
        figures = [curve(run, column, ", here"), curve(other, column, f", {there.name}")]
        if drawn := [figure for figure in figures if figure]:
            blocks.append(Side(drawn))
    return Section("comparison", "Comparison", blocks)


def same_test(run: Run, other: Run) -> bool:
    """Whether both were judged on the same test images, so that their answers can be paired."""
    here, there = (dig(side.splits, "sha256", "test") for side in (run, other))
    return here is not None and here == there and run.counts == other.counts and run.classes == other.classes


def _accuracies(run: Run, other: Run) -> Block:
    rows, paired = [], same_test(run, other)
    for arm in [arm for arm in run.arms if arm in other.arms]:
        ours, theirs = accuracies(run.accuracy[arm]), accuracies(other.accuracy[arm])
        ends = _intervals(run, other, arm) if paired else {}
        for name in dict.fromkeys([*ours, *theirs]):
            here, there = ours.get(name), theirs.get(name)
            if here is None and there is None:
                continue
            gain = MISSING
            if here is not None and there is not None:
                gain = f"{points(here - there)} {interval(ends.get(label(name)))}".strip()
            rows.append([f"{title(arm)}, {label(name)}", percent(here), percent(there), gain])
    if not rows:
        return Text("No arm was measured in both.")
    caption = "Accuracy here and there, differences in points"
    caption += ", on the same test images" if paired else "; the test images are not the same"
    return Table(caption, SIDES, rows)


def _intervals(run: Run, other: Run, arm: str) -> dict[str, Ends]:
    """The intervals of an arm's differences on the same test images; none where an answer is not known."""
    ours, theirs = run.predictions, other.predictions
    if not ours or not theirs or arm not in ours.right or arm not in theirs.right:
        return {}
    return intervals(ours, theirs.right[arm], ours.right[arm], run.counts, arm)


def _image_metrics(run: Run, other: Run) -> Block:
    rows = []
    arms = [arm for arm in run.quality if arm in other.quality and arm not in (BASE, BOUND)]
    same = all(feature_space(run.quality, arm) == feature_space(other.quality, arm) for arm in arms)
    for arm in arms:
        ours, theirs = (overall_metrics(side.quality, arm) for side in (run, other))
        for name, words in METRICS.items():
            here, there = ours.get(name), theirs.get(name)
            if here is not None or there is not None:
                gain = MISSING if here is None or there is None or not same else signed(here - there)
                rows.append([f"{title(arm)}, {words}", number(here), number(there), gain])
        here, there = (dig(side.quality, arm, "class_agreement", "overall") for side in (run, other))
        if here is not None or there is not None:
            gain = MISSING if here is None or there is None else points(here - there)
            rows.append([f"{title(arm)}, class agreement", percent(here), percent(there), gain])
    if not rows:
        return Text(f"Image quality: {MISSING} in both.")
    caption = "The images here and there"
    caption += "" if same else "; FID, density and coverage are of different feature spaces"
    if dig(run.accuracy, BOUND) and dig(run.accuracy, BOUND) != dig(other.accuracy, BOUND):
        caption += "; the classifier whose features these are was trained anew, with other results"
    return Table(caption, SIDES, rows)


def _diagnosis(run: Run) -> str:
    findings = diagnose(run.accuracy, run.quality, run.curves, run.params)
    return listed([f"{finding.name} ({title(finding.arm)})" for finding in findings]) if findings else "nothing found"
