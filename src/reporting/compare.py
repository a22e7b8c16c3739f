"""One run beside another: what was set differently, what came out differently, and the curves of both."""

from src.evaluation.improvement import BASE, BOUND
from src.reporting.accuracy import SHOTS
from src.reporting.blocks import Block, Section, Side, Table, Text
from src.reporting.diagnosis import diagnose
from src.reporting.findings import shots_of, space_of
from src.reporting.gains import LONG, intervals, measures_of
from src.reporting.number_format import MISSING, interval, listed, number, percent, points, signed
from src.reporting.origin import different
from src.reporting.run_results import Run, dig, title
from src.reporting.training import COLUMNS, curve


def comparison(run: Run, other: Run) -> Section:
    """Differences are this run's minus the other's."""
    there = other.revision
    said = f"Compared with {there.name}" + (f" (commit {there.commit[:12]}, {there.date})." if there.commit else ".")
    blocks: list[Block] = [Text(said)]
    blocks.append(different("Parameters that differ", ("parameter", "here", "there"), run.params, other.params))
    blocks += [_accuracies(run, other), _qualities(run, other), Text(_findings(other))]
    for column in COLUMNS:
        drawn = [curve(run, column, ", here"), curve(other, column, f", {there.name}")]
        if figures := [figure for figure in drawn if figure]:
            blocks.append(Side(figures))
    return Section("comparison", "Comparison", blocks)


def same_test(run: Run, other: Run) -> bool:
    """Whether both were judged on the same test images, so that their answers can be paired."""
    hashes = [dig(a.splits, "sha256", "test") for a in (run, other)]
    return (
        hashes[0] is not None and hashes[0] == hashes[1] and run.counts == other.counts and run.classes == other.classes
    )


def _accuracies(run: Run, other: Run) -> Block:
    rows, paired = [], same_test(run, other)
    arms = [arm for arm in run.arms if arm in other.arms]
    for arm in arms:
        here, there = measures_of(run.accuracy[arm]), measures_of(other.accuracy[arm])
        ends = {}
        if paired and run.told and other.told and {arm} <= run.told.right.keys() & other.told.right.keys():
            ends = intervals(run.told, other.told.right[arm], run.told.right[arm], run.counts, arm)
        for name in dict.fromkeys([*here, *there]):
            a, b = here.get(name), there.get(name)
            if a is None and b is None:
                continue
            gain = MISSING if a is None or b is None else f"{points(a - b)} {interval(ends.get(LONG[name]))}".strip()
            rows.append([f"{title(arm)}, {SHOTS.get(name, name)}", percent(a), percent(b), gain])
    if not rows:
        return Text("No arm was measured in both.")
    caption = "Accuracy here and there, differences in points"
    caption += ", on the same test images" if paired else "; the test images are not the same"
    return Table(caption, ["", "here", "there", "here minus there"], rows)


def _qualities(run: Run, other: Run) -> Block:
    rows = []
    arms = [arm for arm in run.quality if arm in other.quality and arm not in (BASE, BOUND)]
    same = all(space_of(run.quality, arm) == space_of(other.quality, arm) for arm in arms)
    for arm in arms:
        here, there = (shots_of(a.quality, arm).get("overall", {}) for a in (run, other))
        for name in ("fid", "density", "coverage"):
            a, b = here.get(name), there.get(name)
            if a is not None or b is not None:
                gain = MISSING if a is None or b is None or not same else signed(a - b)
                rows.append([f"{title(arm)}, {name.upper() if name == 'fid' else name}", number(a), number(b), gain])
        a, b = (dig(x.quality, arm, "class_agreement", "overall") for x in (run, other))
        if a is not None or b is not None:
            gain = MISSING if a is None or b is None else points(a - b)
            rows.append([f"{title(arm)}, class agreement", percent(a), percent(b), gain])
    if not rows:
        return Text(f"Image quality: {MISSING} in both.")
    caption = "The images here and there"
    caption += "" if same else "; FID, density and coverage are of different feature spaces"
    if _retrained(run, other):
        caption += "; the classifier whose features these are was trained anew, with other results"
    return Table(caption, ["", "here", "there", "here minus there"], rows)


def _retrained(run: Run, other: Run) -> bool:
    """Whether the judge, the classifier of all real images, is another one there."""
    return bool(dig(run.accuracy, BOUND)) and dig(run.accuracy, BOUND) != dig(other.accuracy, BOUND)


def _findings(other: Run) -> str:
    found = diagnose(other.accuracy, other.quality, other.curves, other.params)
    names = [f"{finding.name} ({title(finding.arm)})" for finding in found]
    return f"The diagnosis there: {listed(names) if names else 'nothing found'}."
