"""The report's measures of synthetic images: FID, density, coverage, class agreement, and what feedback did to them."""

from collections.abc import Sequence
from dataclasses import replace

from src.reporting.blocks import Block, Figure, Fold, Side, Table, by_arm, columns_of
from src.reporting.charts import Bar, bars
from src.reporting.guidance_signs import criterion
from src.reporting.measures import METRICS, SUBSETS, feature_space, label, overall_metrics
from src.reporting.run_results import Run, Tree, dig
from src.reporting.sections.accuracy import dotted
from src.reporting.wording import MISSING, number, percent, signed, title

COLUMNS = {"fid": "FID", "density": "density", "coverage": "coverage", "precision": "precision", "recall": "recall"}
BARS = {**METRICS, "fid": "FID, lower is better"}
SPACES = {
    "shipped": "the network that ships with the generator and guides nothing",
    "clip": "CLIP",
    "dinov2": "DINOv2",
    "inception": "Inception",
    "openai_clip": "OpenAI's CLIP",
    "reference_classifier": "the classifier of all real images",
}
QUANTILES = {"0.1": "10 %", "0.5": "median", "0.9": "90 %"}
LOOKS = {"before": "first look", "after": "finished image"}


def quality(run: Run) -> list[Block]:
    """FID, density, coverage and class agreement: a figure of the whole, tables by shot and feature space."""
    arms = [arm for arm in run.quality if isinstance(run.quality[arm], dict)]
    if not arms:
        return [f"FID, density, coverage, class agreement: {MISSING}."]
    by_class, agreement = _agreement(run, arms)
    blocks: list[Block] = [Side([figure for figure in (_overall(run, arms), by_class) if figure])]
    parts = [(space, part) for arm in arms for space, part in run.quality[arm].items()]
    spaces = dict.fromkeys(space for space, part in parts if dig(part, "overall", "fid") is not None)
    blocks += [_in_space(run, arms, space).folded for space in spaces]
    if by_class is None and agreement.rows:
        blocks.append(Fold("Class agreement, by shot and class", [agreement]))
    note = "Against the real validation images. Class agreement is the share of images that the classifier of all real "
    note += "images puts into the class asked for."
    return [*blocks, note]


def feedback(run: Run) -> list[Block]:
    """The criterion before and after, how many updates there were, and the criterion of every arm's images."""
    trace, name = dig(run.quality, "guided", "feedback"), criterion(run.params)
    if not trace:
        none = name == "none" or "feedback" in (run.quality.get("guided") or {})
        absent = "This run had no feedback." if none else f"Criterion before and after feedback: {MISSING}."
        return [absent, *_judged(run), *_difficulty(run)]
    before, after = (trace.get(key) for key in LOOKS)
    note = ""
    if before is not None and after is not None:
        note = f"The base classifier's mean {name} over the guided images is {number(before, 3)} at the feedback's "
        note += f"first look and {number(after, 3)} on the finished images, a change of {signed(after - before, 3)}. "
    note += "The first look is at a blurred estimate, so that change is not the feedback's effect: this would need "
    note += "the same images without feedback, `-S feedback=none`."
    rows = [[look, number(trace[key], 3)] for key, look in LOOKS.items() if key in trace]
    rows.append(["updates an image got", number(trace.get("updates"), 1)])
    rows.append(["updates skipped for want of a gradient", number(trace.get("skipped"), 1)])
    table = Table(f"Mean {name} of the base classifier over the guided images", ["", name], rows)
    return [note, _looks(trace, name, table), *_judged(run), *_difficulty(run)]


def _in_space(run: Run, arms: Sequence[str], space: str) -> Table:
    """What was measured in the features of one network, by arm and shot."""
    rows = []
    for arm in arms:
        for subset in SUBSETS:
            if (part := dig(run.quality, arm, space, subset)) is not None:
                images = f"{number(dig(part, 'real_images'))} / {number(dig(part, 'synthetic_images'))}"
                metrics = (number(dig(part, name)) for name in COLUMNS)
                rows.append([f"{title(arm)}, {label(subset)}", *metrics, images])
    caption = f"In the features of {SPACES.get(space, space)}"
    return Table(caption, ["", *COLUMNS.values(), "real / synthetic"], rows)


def _overall(run: Run, arms: Sequence[str]) -> Figure:
    """Bars of what was measured of all images of each arm."""
    values = {arm: overall_metrics(run.quality, arm) for arm in arms}
    words = {
        arm: {name: (percent if name == "agreement" else number)(row.get(name)) for name in METRICS}
        for arm, row in values.items()
    }
    groups = []
    for name, heading in BARS.items():
        known = [row[name] for row in values.values() if row.get(name) is not None]
        full = max(known, default=1) if name == "fid" else max([1, *known])
        groups.append((heading, full, [(arm, values[arm].get(name), words[arm][name]) for arm in arms]))
    space = feature_space(run.quality, arms[0]) or "no feature space"
    caption = f"Synthetic images against real ones, features of {SPACES.get(space, space)}"
    measured = [
        f"{title(arm)}: {', '.join(f'{METRICS[name]} {text}' for name, text in row.items())}"
        for arm, row in words.items()
    ]
    alt = f"{caption}. {'; '.join(measured)}"
    rows = [[heading, *(row[name] for row in words.values())] for name, heading in BARS.items()]
    return Figure(caption, bars(groups, alt), alt, Table(caption, columns_of(arms), rows))


def _agreement(run: Run, arms: Sequence[str]) -> tuple[Figure | None, Table]:
    """Class agreement: dots by class, and a table by shot and class, which holds the figure's numbers too."""
    rates = {arm: dig(run.quality, arm, "class_agreement") or {} for arm in arms}
    by_class = [(name, {arm: dig(rates[arm], "per_class", name) for arm in arms}) for name, _ in run.rarest_first]
    counts = dict(run.rarest_first)
    rows = [(label(subset), {arm: rates[arm].get(subset) for arm in arms}) for subset in SUBSETS] + by_class
    rows = [(name, row) for name, row in rows if any(rate is not None for rate in row.values())]
    table = by_arm("Share of images that show the class asked for, classes rarest first", arms, rows)
    entries = [(f"{name} ({counts[name]})", row) for name, row in by_class]
    known = {
        arm: [(rate, name) for name, rate in (part.get("per_class") or {}).items() if rate is not None]
        for arm, part in rates.items()
    }
    lowest = [f"{title(arm)} {percent(min(pairs)[0])} for {min(pairs)[1]}" for arm, pairs in known.items() if pairs]
    caption = "Class agreement by class, rarest first (training images)"
    figure = dotted(arms, caption, "class", entries, f"Lowest: {', '.join(lowest)}")
    return figure and replace(figure, numbers=table), table


def _looks(trace: Tree, name: str, table: Table) -> Figure | Table:
    """Bars of the criterion at both looks; the table alone if one is negative, since no bar has such a length."""
    values = {look: trace[key] for key, look in LOOKS.items() if trace.get(key) is not None}
    if not values or min(values.values()) < 0:
        return table
    looks: list[Bar] = [(look, value, number(value, 3)) for look, value in values.items()]
    heading = f"Mean {name}, before and after"
    alt = f"{heading}: {', '.join(f'{look} {words}' for look, _, words in looks)}"
    return Figure(heading, bars([("", max(values.values()), looks)], alt, like="guided"), alt, table)


def _judged(run: Run) -> list[Block]:
    """What the base classifier makes of the finished images, of every arm alike."""
    means = {arm: part for arm in run.quality if (part := dig(run.quality, arm, "base_classifier"))}
    names = dict.fromkeys(name for part in means.values() for name in part)
    rows = [(name, {arm: part.get(name) for arm, part in means.items()}) for name in names]
    caption = "The base classifier's mean criterion on the finished images of each arm, in nats"
    return [by_arm(caption, list(means), rows, write=lambda mean: number(mean, 3))] if rows else []


def _difficulty(run: Run) -> list[Block]:
    """How hard real, unguided and guided images are for the base classifier, by each criterion that was asked."""
    return [block for name, report in run.difficulty.items() for block in _difficulty_by(name, report)]


def _difficulty_by(name: str, report: Tree) -> list[Block]:
    """Bars of the quantiles of few-shot classes, of all where none is judged, and the means by shot; no bars if a
    quantile is negative, since none has such a length."""
    parts = {s: dig(report, s) or {} for s in SUBSETS}
    rows = []
    for subset, kinds in parts.items():
        for kind, part in kinds.items():
            if part:
                shown = [number(dig(part, "quantiles", q)) for q in QUANTILES]
                rows.append([f"{kind}, {label(subset)}", number(part.get("mean")), *shown, number(part.get("images"))])
    if not rows:
        return []
    caption = f"How hard images are for the base classifier: its {name}, every class counting alike"
    table = Table(caption, ["", "mean", *QUANTILES.values(), "images"], rows)
    drawn = "few" if dig(parts, "few", "unguided", "quantiles") else "overall"
    values = {q: {kind: dig(part, "quantiles", q) for kind, part in parts[drawn].items()} for q in QUANTILES}
    known = [value for row in values.values() for value in row.values() if value is not None]
    if not known or min(known) < 0:
        return [table]
    groups = [
        (words, max(known), [(kind, value, number(value)) for kind, value in values[q].items()])
        for q, words in QUANTILES.items()
    ]
    alt = "; ".join(f"{h}: {', '.join(f'{kind} {words}' for kind, _, words in bar)}" for h, _, bar in groups)
    caption += f"; drawn: {label(drawn)}"
    return [Figure(caption, bars(groups, f"{caption}. {alt}", like="guided"), f"{caption}. {alt}", table)]
