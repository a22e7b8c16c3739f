"""One run beside another: what was set differently, what came out differently, and the curves of both."""

from collections.abc import Iterable, Iterator

from src.reporting.blocks import Block, Side, Table
from src.reporting.diagnosis import diagnosed
from src.reporting.gains import Gain, intervals
from src.reporting.measures import METRICS, accuracies, feature_space, label, overall_metrics
from src.reporting.run_results import Run, Tree, dig
from src.reporting.sections.classifiers import COLUMNS, curve
from src.reporting.sections.provenance import different_parameters
from src.reporting.wording import MISSING, listed, number, percent, points, signed, title
from src.settings.arms import BASE, BOUND

SIDES = ["", "here", "there", "here minus there"]


def differences(run: Run, other: Run) -> list[Block]:
    """What differs; differences are this run's minus the other's."""
    there = other.revision
    commit = f" (commit {there.commit[:12]}, {there.date})" if there.commit else ""
    findings = [finding.title for finding in diagnosed(other)]
    results = [(side.accuracy, side.quality, side.curves, side.validation) for side in (run, other)]
    if results[0] == results[1] and run.params == other.params:
        return [f"Compared with {there.name}{commit}: nothing changed, in parameters or results."]
    blocks = [
        f"Compared with {there.name}{commit}.",
        different_parameters("Parameters that differ", ("parameter", "here", "there"), run.params, other.params),
        _accuracies(run, other),
        _image_metrics(run, other),
        f"The diagnosis there: {listed(findings) if findings else 'nothing found'}.",
    ]
    for column in COLUMNS:
        curves = [curve(run, column, ", here"), curve(other, column, f", {there.name}")]
        if figures := [figure for figure in curves if figure]:
            blocks.append(Side(figures))
    return blocks


def _accuracies(run: Run, other: Run) -> Block:
    """With intervals where both were judged on the same test images, so that their answers can be paired."""
    test, other_test = (dig(side.splits, "sha256", "test") for side in (run, other))
    paired = test is not None and test == other_test and [*run.train_counts.items()] == [*other.train_counts.items()]
    rows = []
    for arm in [arm for arm in run.arms if arm in other.arms]:
        ours, theirs, ends = accuracies(run.accuracy[arm]), accuracies(other.accuracy[arm]), {}
        if paired and run.predictions and other.predictions:
            before, after = other.predictions.right.get(arm), run.predictions.right.get(arm)
            if before is not None and after is not None:
                ends = intervals(run, before, after, arm)
        for name, here, there, gain in _both(dict.fromkeys([*ours, *theirs]), ours, theirs):
            difference = MISSING if gain is None else Gain(gain, ends.get(label(name))).text
            rows.append([f"{title(arm)}, {label(name)}", percent(here), percent(there), difference])
    if not rows:
        return "No arm was measured in both."
    caption = "Accuracy here and there, differences in points"
    caption += ", on the same test images" if paired else "; the test images are not the same"
    return Table(caption, SIDES, rows)


def _image_metrics(run: Run, other: Run) -> Block:
    rows = []
    arms = [arm for arm in run.quality if arm in other.quality and arm not in (BASE, BOUND)]
    same = all(feature_space(run.quality, arm) == feature_space(other.quality, arm) for arm in arms)
    for arm in arms:
        ours, theirs = (overall_metrics(side.quality, arm) for side in (run, other))
        for name, here, there, gain in _both(METRICS, ours, theirs):
            if name == "agreement":
                values = [percent(here), percent(there), points(gain)]
            else:
                values = [number(here), number(there), signed(gain if same else None)]
            rows.append([f"{title(arm)}, {METRICS[name]}", *values])
    if not rows:
        return f"Image quality: {MISSING} in both."
    caption = "The images here and there"
    caption += "" if same else "; FID, density and coverage are of different feature spaces"
    if dig(run.accuracy, BOUND) and dig(run.accuracy, BOUND) != dig(other.accuracy, BOUND):
        caption += "; the classifier whose features these are was trained anew, with other results"
    return Table(caption, SIDES, rows)


def _both(
    names: Iterable[str], ours: Tree, theirs: Tree
) -> Iterator[tuple[str, float | None, float | None, float | None]]:
    """The measures that either side has: name, value here, value there, and the difference where both have it."""
    for name in names:
        here, there = ours.get(name), theirs.get(name)
        if here is not None or there is not None:
            yield name, here, there, None if here is None or there is None else here - there
