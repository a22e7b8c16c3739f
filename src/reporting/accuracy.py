"""The report's accuracies: the table, bars by shot, and dots by class and by group, rarest first."""

from collections.abc import Mapping, Sequence
from typing import Any

from src.evaluation.fairness import DIFFERENCES
from src.evaluation.improvement import BASE, BOUND, SHOTS
from src.reporting.blocks import Block, Figure, Fold, Section, Side, Table, Text, Tile
from src.reporting.charts import bars, dots
from src.reporting.findings import bound_of, main_measure, shots_of, value_of
from src.reporting.gains import ADJECTIVE, gains, main_arm, measures_of
from src.reporting.number_format import MISSING, listed, number, percent, points
from src.reporting.run_results import Run, dig, title

SHOWN = 24  # rows of a figure; the table has all


def tiles(run: Run) -> list[Tile]:
    """Return the numbers to see first; none where nothing was measured."""
    arm, found = main_arm(run), []
    if arm is None or BASE not in run.accuracy:
        return []
    gained, main = gains(run, arm), main_measure(run.accuracy[BASE])
    for name in dict.fromkeys((main, "overall")):
        if name in gained:
            text = f"{points(gained[name].value)} points over the base"
            found.append(Tile(f"{title(arm)}, {ADJECTIVE[name]}", percent(value_of(run.accuracy[arm], name)), text))
    bound = bound_of(run.accuracy, main)
    if bound is not None:
        found.append(Tile(f"all real, {ADJECTIVE[main]}", percent(bound), "what balancing could reach"))
    fid = shots_of(run.quality, arm).get("overall", {}).get("fid")
    if fid is not None:
        rival = shots_of(run.quality, "synaug").get("overall", {}).get("fid")
        text = (
            "lower is closer to real"
            if rival is None or arm == "synaug"
            else f"SYNAuG {number(rival, 1)}; lower is better"
        )
        found.append(Tile(f"{title(arm)}, FID", number(fid, 1), text))
    return found


def headline_table(run: Run) -> Section:
    """Every arm's accuracy and calibration error, with differences to the base."""
    columns = ["", *(title(arm) for arm in run.arms)]
    every = {arm: measures_of(run.accuracy[arm]) for arm in run.arms}
    names = list(dict.fromkeys(name for row in every.values() for name in row))
    gained = {arm: gains(run, arm) for arm in run.arms if arm != BASE}
    rows, nothing = [], []
    for name in names:
        if all(every[arm].get(name) is None for arm in run.arms):
            nothing.append(SHOTS.get(name, name))
            continue
        rows.append([SHOTS.get(name, name), *(percent(every[arm].get(name)) for arm in run.arms)])
        told = [gained[arm][name].text if name in gained[arm] else MISSING for arm in run.arms if arm != BASE]
        if any(text != MISSING for text in told):
            rows.append([f"{name}, points over base", "", *told])
    rows.append(["calibration error", *(percent(dig(run.accuracy[arm], "ece")) for arm in run.arms)])
    note = "In brackets the 95 % interval of the difference, of a paired bootstrap over the test images: it is about "
    note += "their draw alone, so repeat over seeds what matters."
    if run.told is None:
        note = "The arms' answers on the test images are not of this run, so no interval could be made."
    if dig(run.accuracy, BOUND, "bound") is False:
        note += " All real is no bound here: the training split already holds every real image."
    note += f" Not measured, for lack of such classes: {listed(nothing)}." if nothing else ""
    blocks: list[Block] = [Table("Accuracy on the test split and calibration error, by arm", columns, rows), Text(note)]
    return Section("result", "Result", blocks if run.arms else [Text("No arm was measured in this revision.")])


def where(run: Run) -> Section:
    """Which classes and groups gain."""
    side = [figure for figure in (_shots(run), _classes(run)) if figure]
    blocks: list[Block] = [Side(side)] if side else [Text("Accuracy by shot and class: not measured.")]
    blocks += [figure for figure in (_groups(run),) if figure]
    if (table := _fairness(run)) is not None:
        blocks.append(table)
    return Section("classes", "Classes and groups", blocks)


def _shots(run: Run) -> Figure | None:
    every = {arm: measures_of(run.accuracy[arm]) for arm in run.arms}
    names = list(dict.fromkeys(name for row in every.values() for name in row))
    groups = []
    for name in names:
        if any(every[arm].get(name) is not None for arm in run.arms):
            groups.append(
                (
                    SHOTS.get(name, name),
                    1.0,
                    [(arm, every[arm].get(name), percent(every[arm].get(name))) for arm in run.arms],
                )
            )
    if not groups:
        return None
    main = main_measure(run.accuracy.get(BASE))
    alt = f"Bars of accuracy by shot for each arm. {main}: " + ", ".join(
        f"{title(arm)} {percent(every[arm].get(main))}" for arm in run.arms
    )
    rows = [[SHOTS.get(name, name), *(percent(every[arm].get(name)) for arm in run.arms)] for name in names]
    caption = "Accuracy by shot and over groups" if "worst group" in names else "Accuracy by shot"
    table = Table(caption, ["", *map(title, run.arms)], rows)
    return Figure(caption, bars(groups, alt), alt, table)


def _classes(run: Run) -> Figure | None:
    """A row per class, rarest first."""
    per_class = {arm: dig(run.accuracy, arm, "per_class") or {} for arm in run.arms}
    order = sorted(zip(run.counts, range(len(run.classes)), run.classes, strict=True))
    entries = [
        (f"{name} ({count})", {arm: dig(per_class[arm], name, "accuracy") for arm in run.arms})
        for count, _, name in order
    ]
    return dotted(run.arms, "Accuracy by class, rarest first (training images)", "class", entries)


def _groups(run: Run) -> Figure | None:
    """A row per class in a context, rarest first."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for arm in run.arms:
        for row in dig(run.accuracy, arm, "groups", "per_group") or []:
            label = f"{row['class']}, {row['context']} ({row['train_images']})"
            found.setdefault((row["train_images"], label), {})[arm] = row["accuracy"]
    entries = [(label, values) for (_, label), values in sorted(found.items())]
    return dotted(run.arms, "Accuracy by group, rarest first (training images)", "group", entries)


def dotted(
    arms: Sequence[str], caption: str, what: str, entries: Sequence[tuple[str, Mapping[str, Any]]], note: str = ""
) -> Figure | None:
    """Return a row of dots for each entry, as many as fit, with a table of all; None if there is none.

    entries: (name, {arm: share in [0, 1] or None}), in order. note: said with the drawing's description.
    """
    known = [(label, {arm: v for arm, v in values.items() if v is not None}) for label, values in entries]
    known = [(label, values) for label, values in known if values]
    if not known:
        return None
    shown = known[:SHOWN]
    said = caption if len(known) == len(shown) else f"{caption}; the {SHOWN} rarest of {len(known)}"
    first, last = shown[0], shown[-1]
    alt = f"{said}. " + "; ".join(
        f"{label}: " + ", ".join(f"{title(arm)} {percent(values[arm])}" for arm in arms if arm in values)
        for label, values in (first, last)
    )
    alt += f". {note}" if note else ""
    rows = [[label, *(percent(values.get(arm)) for arm in arms)] for label, values in entries]
    return Figure(said, dots(shown, arms, alt), alt, Table(caption, [what, *map(title, arms)], rows))


def _fairness(run: Run) -> Block | None:
    """The largest of each difference over the classes; see `evaluation.fairness`."""
    names = [name for name in DIFFERENCES if any(dig(run.accuracy, arm, "fairness", name) for arm in run.arms)]
    if not names:
        return None
    rows = [
        [name.replace("_", " "), *(percent(dig(run.accuracy, arm, "fairness", name, "max")) for arm in run.arms)]
        for name in names
    ]
    caption = "Largest differences between contexts over the classes; lower is fairer"
    return Fold("Fairness", [Table(caption, ["", *map(title, run.arms)], rows)])
