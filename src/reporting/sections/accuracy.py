"""The report's accuracies: the table, bars by shot, and dots by class and by group, rarest first."""

from collections.abc import Sequence
from typing import Any

from src.evaluation.fairness import DIFFERENCES
from src.reporting.blocks import ArmRows, Block, Figure, Fold, Side, Table, Tile, by_arm, columns_of
from src.reporting.charts import bars, dots
from src.reporting.gains import gains, main_arm
from src.reporting.measures import (
    ADJECTIVE,
    above_chance,
    accuracies,
    bound_of,
    feature_space,
    label,
    main_measure,
    overall_metrics,
)
from src.reporting.run_results import Run, dig
from src.reporting.wording import MISSING, listed, number, percent, points, title, with_titles
from src.settings.arms import BASE, BOUND

DRAWN = 24  # rows of a figure; the table has all
TOLD = 10  # test images, below which an accuracy is shown with their number: a single one makes 0 or 100 %


def tiles(run: Run) -> list[Tile]:
    """Return the numbers to see first; none where nothing was measured."""
    arm = main_arm(run)
    if arm is None or BASE not in run.accuracy:
        return []
    numbers, name = [], title(arm)
    gained, reached, main = gains(run, arm), accuracies(run.accuracy[arm]), main_measure(run.accuracy[BASE])
    for measure in dict.fromkeys((main, "overall")):
        if measure in gained:
            gain = f"{points(gained[measure].value)} points over the base"
            numbers.append(Tile(f"{name}, {ADJECTIVE[measure]}", percent(reached[measure]), gain))
    bound = bound_of(run.accuracy, main)
    if bound is not None:
        numbers.append(Tile(f"{title(BOUND)}, {ADJECTIVE[main]}", percent(bound), "what balancing could reach"))
    fid, rival = (overall_metrics(run.quality, other).get("fid") for other in (arm, "synaug"))
    if fid is not None and not _unjudged(run, arm):
        alone = rival is None or arm == "synaug"
        beside = "lower is closer to real" if alone else f"{title('synaug')} {number(rival, 1)}; lower is better"
        numbers.append(Tile(f"{name}, FID", number(fid, 1), beside))
    return numbers


def _unjudged(run: Run, arm: str) -> bool:
    """Whether the features are those of a classifier that knows little itself: no number to see first."""
    accuracy, classes = dig(run.accuracy, BOUND, "overall"), len(run.train_counts)
    weak = accuracy is None or classes < 2 or accuracy < above_chance(classes)
    return weak and feature_space(run.quality, arm) == "reference_classifier"


def result(run: Run) -> list[Block]:
    """Every arm's accuracy and calibration error, with differences to the base."""
    if not run.arms:
        return ["No arm was measured in this revision."]
    gained = [gains(run, arm) for arm in run.arms if arm != BASE]
    rows, unmeasured = [], []
    for name, values in _by_measure(run).items():
        if all(value is None for value in values.values()):
            unmeasured.append(label(name))
            continue
        rows.append([label(name), *map(percent, values.values())])
        if any(name in gain for gain in gained):
            texts = (gain[name].text if name in gain else MISSING for gain in gained)
            rows.append([f"{name}, points over base", "", *texts])
    rows.append(["calibration error", *(percent(dig(run.accuracy[arm], "ece")) for arm in run.arms)])
    note = "In brackets the 95 % interval of the difference, paired over the test images: it is about "
    note += "their draw alone, so repeat over seeds what matters."
    if run.predictions is None:
        note = "The arms' answers on the test images are not of this run, so no interval could be made."
    if dig(run.accuracy, BOUND, "bound") is False:
        note += " All real is no bound here: the training split already holds every real image."
    note += f" Not measured, for lack of such classes: {listed(unmeasured)}." if unmeasured else ""
    return [Table("Accuracy on the test split and calibration error, by arm", columns_of(run.arms), rows), note]


def classes(run: Run) -> list[Block]:
    """Which classes and groups gain: bars by shot, dots by class and group, and fairness."""
    by_class = [
        (
            f"{name} ({_counted(count, dig(run.accuracy, BASE, 'per_class', name, 'test_images'))})",
            {arm: dig(run.accuracy, arm, "per_class", name, "accuracy") for arm in run.arms},
        )
        for name, count in run.rarest_first
    ]
    caption = "Accuracy by class, rarest first (training images)"
    figures = [figure for figure in (_shots(run), dotted(run.arms, caption, "class", by_class)) if figure]
    blocks: list[Block] = [Side(figures)] if figures else ["Accuracy by shot and class: not measured."]
    return [*blocks, *(block for block in (_groups(run), _fairness(run)) if block)]


def dotted(arms: Sequence[str], caption: str, what: str, entries: ArmRows, note: str = "") -> Figure | None:
    """Return a row of dots for each entry, as many as fit, with a table of all; None if there is none.

    entries: (name, {arm: share in [0, 1] or None}), in order. note: told with the drawing's description.
    """
    measured = [(name, {arm: share for arm, share in shares.items() if share is not None}) for name, shares in entries]
    measured = [(name, shares) for name, shares in measured if shares]
    if not measured:
        return None
    drawn = measured[:DRAWN]
    heading = caption if len(measured) == len(drawn) else f"{caption}; the {DRAWN} rarest of {len(measured)}"
    ends = [
        f"{name}: {', '.join(with_titles({arm: shares[arm] for arm in arms if arm in shares}))}"
        for name, shares in (drawn[0], drawn[-1])
    ]
    alt = f"{heading}. {'; '.join(ends)}" + (f". {note}" if note else "")
    return Figure(heading, dots(drawn, arms, alt), alt, by_arm(caption, arms, entries, first=what))


def _counted(training: int, test: int | None) -> str:
    """Training images, and the test images where they are so few that a share of them says little."""
    return f"{training}" if test is None or test >= TOLD else f"{training}; {test} tested"


def _by_measure(run: Run) -> dict[str, dict[str, float | None]]:
    """Every arm's accuracies, {measure: {arm: accuracy}}."""
    rows = {arm: accuracies(run.accuracy[arm]) for arm in run.arms}
    names = dict.fromkeys(name for row in rows.values() for name in row)
    return {name: {arm: row.get(name) for arm, row in rows.items()} for name in names}


def _shots(run: Run) -> Figure | None:
    rows = _by_measure(run)
    groups = [
        (label(name), 1.0, [(arm, value, percent(value)) for arm, value in values.items()])
        for name, values in rows.items()
        if any(value is not None for value in values.values())
    ]
    if not groups:
        return None
    main = main_measure(run.accuracy.get(BASE))
    alt = f"Bars of accuracy by shot for each arm. {main}: {', '.join(with_titles(rows[main]))}"
    caption = "Accuracy by shot and over groups" if "worst group" in rows else "Accuracy by shot"
    table = by_arm(caption, run.arms, [(label(name), values) for name, values in rows.items()])
    return Figure(caption, bars(groups, alt), alt, table)


def _groups(run: Run) -> Figure | None:
    """A row per class in a context, rarest first."""
    groups: dict[tuple[int, str], dict[str, Any]] = {}
    for arm in run.arms:
        for row in dig(run.accuracy, arm, "groups", "per_group") or []:
            name = f"{row['class']}, {row['context']} ({_counted(row['train_images'], row.get('test_images'))})"
            groups.setdefault((row["train_images"], name), {})[arm] = row["accuracy"]
    entries = [(name, values) for (_, name), values in sorted(groups.items())]
    return dotted(run.arms, "Accuracy by group, rarest first (training images)", "group", entries)


def _fairness(run: Run) -> Fold | None:
    """The largest of each difference over the classes; see `evaluation.fairness`."""
    rows = [
        (name.replace("_", " "), {arm: dig(run.accuracy, arm, "fairness", name, "max") for arm in run.arms})
        for name in DIFFERENCES
        if any(dig(run.accuracy, arm, "fairness", name) for arm in run.arms)
    ]
    caption = "Largest differences between contexts over the classes; lower is fairer"
    return Fold("Fairness", [by_arm(caption, run.arms, rows)]) if rows else None
