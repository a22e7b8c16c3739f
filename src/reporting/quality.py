"""The report's measures of synthetic images: FID, density, coverage and class agreement, by arm, shot and class."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from src.evaluation.improvement import SHOTS
from src.reporting.accuracy import dotted
from src.reporting.blocks import Block, Figure, Fold, Section, Side, Table, Text
from src.reporting.charts import Bar, bars
from src.reporting.findings import shots_of, space_of
from src.reporting.number_format import MISSING, number, percent
from src.reporting.run_results import Run, dig, title

COLUMNS = ("fid", "density", "coverage", "precision", "recall")
DIRECTION = {
    "fid": "FID, lower is better",
    "density": "density",
    "coverage": "coverage",
    "agreement": "class agreement",
}


def quality(run: Run) -> Section:
    """FID, density, coverage and class agreement: a figure of the whole, tables by shot and feature space."""
    arms = [arm for arm in run.quality if isinstance(run.quality[arm], dict)]
    if not arms:
        return Section("images", "Image quality", [Text(f"FID, density, coverage, class agreement: {MISSING}.")])
    figures = [_figure(run, arms), _agreement_figure(run, arms)]
    blocks: list[Block] = [Side([figure for figure in figures if figure])]
    for space in dict.fromkeys(space for arm in arms for space in run.quality[arm] if _is_space(run, arm, space)):
        rows = [
            [f"{title(arm)}, {SHOTS.get(shot, shot)}", *(number(dig(part, name)) for name in COLUMNS), _counts(part)]
            for arm in arms
            for shot in ("overall", *SHOTS)
            if (part := dig(run.quality, arm, space, shot)) is not None
        ]
        caption = f"In the features of {space.replace('_', ' ')}"
        columns = ["", *(name.upper() if name == "fid" else name for name in COLUMNS), "real / synthetic"]
        blocks.append(Fold(caption, [Table(caption, columns, rows)]))
    if figures[1] is None and (table := _agreement(run, arms)) is not None:
        blocks.append(Fold("Class agreement, by shot and class", [table]))
    note = "Against the real validation images. Class agreement is the share of images that the classifier of all real "
    note += "images puts into the class asked for."
    return Section("images", "Image quality", [*blocks, Text(note)])


def _is_space(run: Run, arm: str, name: str) -> bool:
    return dig(run.quality, arm, name, "overall", "fid") is not None


def _counts(part: Any) -> str:
    return f"{number(dig(part, 'real_images'))} / {number(dig(part, 'synthetic_images'))}"


def _figure(run: Run, arms: list[str]) -> Figure:
    spaces = {arm: space_of(run.quality, arm) for arm in arms}
    values: dict[str, dict[str, float | None]] = {
        name: {arm: shots_of(run.quality, arm).get("overall", {}).get(name) for arm in arms}
        for name in ("fid", "density", "coverage")
    }
    values["agreement"] = {arm: dig(run.quality, arm, "class_agreement", "overall") for arm in arms}
    groups: list[tuple[str, float, list[Bar]]] = []
    for name, row in values.items():
        known = [value for value in row.values() if value is not None]
        full = max(known, default=1) if name == "fid" else max([1, *known])
        words: Callable[[Any], str] = percent if name == "agreement" else number
        groups.append((DIRECTION[name], full, [(arm, value, words(value)) for arm, value in row.items()]))
    rows = [
        [DIRECTION[name], *(percent(v) if name == "agreement" else number(v) for v in row.values())]
        for name, row in values.items()
    ]
    space = (next(iter(spaces.values())) or "no feature space").replace("_", " ")
    caption = f"Synthetic images against real ones, features of {space}"
    alt = f"{caption}. " + "; ".join(
        f"{title(arm)}: FID {number(values['fid'][arm])}, density {number(values['density'][arm])}, coverage "
        f"{number(values['coverage'][arm])}, class agreement {percent(values['agreement'][arm])}"
        for arm in arms
    )
    return Figure(caption, bars(groups, alt), alt, Table(caption, ["", *map(title, arms)], rows))


def _agreement_figure(run: Run, arms: list[str]) -> Figure | None:
    told = {arm: dig(run.quality, arm, "class_agreement", "per_class") or {} for arm in arms}
    order = sorted(zip(run.counts, range(len(run.classes)), run.classes, strict=True))
    entries = [(f"{name} ({count})", {arm: told[arm].get(name) for arm in arms}) for count, _, name in order]
    rates = {arm: [(rate, name) for name, rate in told[arm].items() if rate is not None] for arm in arms}
    lowest = [f"{title(arm)} {percent(min(known)[0])} for {min(known)[1]}" for arm, known in rates.items() if known]
    caption = "Class agreement by class, rarest first (training images)"
    drawn, table = dotted(arms, caption, "class", entries, f"Lowest: {', '.join(lowest)}"), _agreement(run, arms)
    return drawn if drawn is None or table is None else replace(drawn, numbers=table)


def _agreement(run: Run, arms: list[str]) -> Table | None:
    told = {arm: dig(run.quality, arm, "class_agreement") or {} for arm in arms}
    names = [name for name in ("overall", *SHOTS) if any(told[arm].get(name) is not None for arm in arms)]
    rows = [[SHOTS.get(name, name), *(percent(told[arm].get(name)) for arm in arms)] for name in names]
    for _, _, name in sorted(zip(run.counts, range(len(run.classes)), run.classes, strict=True)):
        rates = [dig(told[arm], "per_class", name) for arm in arms]
        if any(rate is not None for rate in rates):
            rows.append([name, *map(percent, rates)])
    caption = "Share of images that show the class asked for, classes rarest first"
    return Table(caption, ["", *map(title, arms)], rows) if rows else None
