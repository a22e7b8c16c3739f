"""What feedback gains in few-shot accuracy against how hard the images are without it, under every generator that
studies asked on fresh seeds.

    python -m benchmarks.gain_by_gap

From the rows that the studies left: metrics/studies/gain_by_gap.md and .png, each comparison of a run with feedback
with the same run without it, once. Bold: differs from zero together with all of the table (Holm). And how often one
run, by the rule of the report's diagnosis, would have foretold what feedback did; and what holds together with every
comparison on the digits' seeds, those without feedback included.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from scipy.stats import spearmanr

from src.evaluation.intervals import plus_minus
from src.evaluation.paired_tests import holm
from src.runtime.entry import run_stage
from src.runtime.files import atomic_write, read_bytes, read_json
from src.runtime.markdown import markdown_table
from src.studies.experiments import experiment_of, parameters_of
from src.studies.figures import png, subplots
from src.studies.study import Study
from src.studies.study_files import read_study
from src.studies.summary import POINTS, Difference, cell, compared, difference, name_of, pairs, sample
from src.studies.tables import read_rows

FOLDER = Path("metrics/studies")
DIFFICULTY = Path("metrics/difficulty.json")
STUDIES = {
    "digits": ("feedback_by_guidance", "matched", "matched_by_guidance", "equal_label_cost"),
    "digits, other seeds": ("diagnosis",),
    "photographs": ("fashion_feedback", "fashion_by_guidance"),
}
RIVALS = ("rivals", "rivals_at_guidance_4")
WITHOUT, OTHERS = "none", "84 images, none"  # two runs without feedback, which share no image
GAP, GAIN = "loss_few_gap", "few"
COLOURS = {"digits": "C0", "digits, other seeds": "C2", "photographs": "C1"}
MARKERS = {"hardness": "o", "loss": "s", "entropy": "^"}
APART = {"hardness": 0.0, "loss": 0.015, "entropy": -0.015}  # nats, so that criteria of one run do not hide each other
MATCHED, BY_CLASS = "matched", " by class"
USUAL = "0.03"  # scale of feedback that the figure does not name
ADVISED = (("hardness", USUAL), ("hardness", MATCHED))  # by the diagnosis
VERDICTS = ("easier than real", "as hard", "harder")


@dataclass(frozen=True)
class Comparison:
    """One feedback and the same run without it. gap: mean without feedback, and the half-width of its 95 % interval.
    by_seed: of each seed the gap, the gain in points, and the accuracy without feedback."""

    data: str
    guidance: float
    criterion: str
    scale: str  # of each step, MATCHED or MATCHED BY_CLASS
    gap: tuple[float, float]
    gain: Difference
    by_seed: tuple[tuple[float, float, float], ...]


def main() -> None:
    table, drawn = page()
    atomic_write(FOLDER / "gain_by_gap.md", table.encode())
    atomic_write(FOLDER / "gain_by_gap.png", drawn)
    print(table, end="")


def page() -> tuple[str, bytes]:
    """The table in Markdown, the easiest images of each generator first, and the figure."""
    studies = {data: [read_study(name) for name in names] for data, names in STUDIES.items()}
    every = [comparison for data, own in studies.items() for comparison in comparisons(data, own)]
    every.sort(key=lambda c: (c.data, c.gap))
    held = holm([c.gain.p for c in every])
    every = [replace(c, gain=replace(c.gain, holds=bool(holds))) for c, holds in zip(every, held, strict=True)]
    compared = {c.data for c in every}
    seeds = "; ".join(f"{data}: {sample(own[0])}" for data, own in studies.items() if data in compared)
    title = "# Gain of feedback by the difficulty of the images without it"
    words = "Bold: differs from zero together with all of the table (Holm)."
    return (
        f"{title}\n\n{seeds}, test. {words}\n\n{rows(every)}\n{foretold(every, margin())}\n{placebo()}\n"
        f"{together([*studies['digits'], *map(read_study, RIVALS)])}",
        figure(every, seeds),
    )


def comparisons(data: str, studies: Sequence[Study]) -> Iterator[Comparison]:
    """Each once, of all studies that have left rows."""
    told = set()
    for study in studies:
        measured = measured_in(study)
        variants = {variant.name: variant for variant in study.variants}
        for name, other in pairs(study):
            settings, plain = variants[name].settings, variants[other].settings
            run = experiment_of(settings, 0).name
            gain = difference(study, measured, (name, other), GAIN)
            if run in told or without_feedback(settings) != plain or gain is None:
                continue
            told.add(run)
            gap = cell(study, measured, variants[other], GAP)
            params = parameters_of(experiment_of(settings, 0))
            preset = params["feedbacks"][params["feedback"]]
            scale = f"{preset['scale']:g}" if not preset["target"] else MATCHED + BY_CLASS * bool(preset["pilot"])
            guidance = params["generators"][params["generator"]]["guidance_scale"]
            assert gap is not None and gap[1] is not None  # as the gain, of the same seeds
            known = [(measured[other][seed], measured[name][seed]) for seed in study.seeds]
            by_seed = tuple((a[GAP], 100 * (b[GAIN] - a[GAIN]), a[GAIN]) for a, b in known)
            yield Comparison(data, guidance, preset["criterion"], scale, (gap[0], gap[1]), gain, by_seed)


def measured_in(study: Study) -> Mapping[str, Mapping[int, Mapping[str, float]]]:
    """What each variant and seed left, empty before the study has run."""
    path = FOLDER / f"{study.name}.csv"
    return read_rows(read_bytes(path)) if path.exists() else {}


def without_feedback(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same run with feedback=none."""
    return {name: value for name, value in settings.items() if not name.startswith("feedbacks.")} | {"feedback": "none"}


def rows(every: Sequence[Comparison]) -> str:
    """A Markdown table, a row per comparison."""
    gap, gain = f"{name_of(GAP)} without feedback, nats", f"{name_of(GAIN)} over none, {POINTS}"
    with_gain, with_accuracy = "over seeds, rank correlation of gap and gain", "of gap and accuracy without feedback"
    table = [
        {
            "images": c.data, "guidance scale": f"{c.guidance:g}", "feedback": f"{c.criterion}, {c.scale}",
            gap: plus_minus(*c.gap, 2, signed=True), gain: f"**{c.gain.size}**" if c.gain.holds else c.gain.size,
            with_gain: f"{spearmanr(c.by_seed).statistic[0, 1]:+.2f}",
            with_accuracy: f"{spearmanr(c.by_seed).statistic[0, 2]:+.2f}",
        }
        for c in every
    ]  # fmt: skip
    return markdown_table(table, ["images", "guidance scale", "feedback", gap, gain, with_gain, with_accuracy])


def margin() -> float:
    """Nats within which the diagnosis of the committed run takes images for as hard as real ones."""
    by_loss = read_json(DIFFICULTY)["loss"]["few"]
    return 2 * math.hypot(*(by_loss[kind]["standard_error"] for kind in ("real", "unguided")))


def foretold(every: Sequence[Comparison], edge: float) -> str:
    """A Markdown section: of runs whose images without feedback are easier than real ones by more than edge nats, as
    hard, or harder, how many gained by feedback and how many lost. In one run neither seeds nor guidance are averaged.
    """
    table = []
    for data in dict.fromkeys(c.data for c in every):
        for criterion, scale in ADVISED:
            runs = [r for c in every if (c.data, c.criterion, c.scale) == (data, criterion, scale) for r in c.by_seed]
            judged = [(VERDICTS[1 + (gap > edge) - (gap < -edge)], gain) for gap, gain, _ in runs]
            for verdict in VERDICTS:
                gains = [gain for said, gain in judged if said == verdict]
                if gains:
                    table.append(
                        {
                            "images": data, "without feedback": verdict, "feedback": f"{criterion}, {scale}",
                            "runs": len(gains), "gained": sum(gain > 0 for gain in gains),
                            "lost": sum(gain < 0 for gain in gains), "mean gain, points": f"{fmean(gains):+.1f}",
                        }
                    )  # fmt: skip
    words = (
        f"Few-shot images of one run, without feedback, against real ones by loss; as hard: within {edge:.2f} nats, "
    )
    words += f"two standard errors in `{DIFFICULTY}`. Runs of a seed at several guidance scales share its real images."
    columns = ["images", "without feedback", "feedback", "runs", "gained", "lost", "mean gain, points"]
    return f"## One run at a time\n\n{words}\n\n{markdown_table(table, columns)}"


def placebo() -> str:
    """A Markdown section: whether what is no feedback gains more, too, on seeds where images are easier.

    The gain over the run whose images are judged is large where that one did badly by chance; that over other images
    is not.
    """
    table = []
    for study in map(read_study, RIVALS):
        measured = measured_in(study)
        gap = [measured[WITHOUT][seed][GAP] for seed in study.seeds]
        for name in (variant.name for variant in study.variants if variant.name != WITHOUT):
            row = {"study": study.name, "variant": name}
            for other in {WITHOUT, OTHERS} - {name}:
                gains = [measured[name][seed][GAIN] - measured[other][seed][GAIN] for seed in study.seeds]
                row[f"over {other}"] = f"{spearmanr(gap, gains).statistic:+.2f}"
            table.append(row)
    words = f"Over seeds, rank correlation of {name_of(GAP)} in `{WITHOUT}` with what each variant gains in "
    words += f"{name_of(GAIN)} over `{WITHOUT}`, and over `{OTHERS}`, none of whose images are judged."
    columns = ["study", "variant", f"over {WITHOUT}", f"over {OTHERS}"]
    return f"## Room to gain\n\n{words}\n\n{markdown_table(table, columns)}"


def together(studies: Sequence[Study]) -> str:
    """A Markdown section: of all comparisons of studies on the same seeds, each once, those whose own interval leaves
    out zero, bold if they hold counting all of them."""
    told: dict[tuple[str, str], tuple[str, Difference]] = {}
    for study in studies:
        runs = {variant.name: experiment_of(variant.settings, 0).name for variant in study.variants}
        for name, other in compared(study):
            gain = difference(study, measured_in(study), (name, other), GAIN)
            if gain is not None:
                told.setdefault((runs.get(name, name), runs.get(other, other)), (study.name, gain))
    held = holm([gain.p for _, gain in told.values()])
    columns = ["study", "difference", f"{name_of(GAIN)}, {POINTS}"]
    table = [
        dict(zip(columns, (study, gain.between("less"), f"**{gain.size}**" if holds else gain.size), strict=True))
        for (study, gain), holds in zip(told.values(), held, strict=True)
        if abs(gain.mean) > gain.half
    ]
    words = f"{sample(studies[0])}, test. Of {len(told)} comparisons of {', '.join(f'`{s.name}`' for s in studies)}, "
    words += f"each once, the {len(table)} whose own interval leaves out zero. Bold: differs from zero together with "
    words += "all of them (Holm)."
    return f"## All comparisons on the digits' seeds\n\n{words}\n\n{markdown_table(table, columns)}"


def figure(every: Sequence[Comparison], seeds: str) -> bytes:
    """A PNG: a panel for feedback of a fixed scale and one for matched; colour: generator; marker: criterion."""
    canvas, axes = subplots(2, 10, 4.2, sharey=True)
    for axis, matched in zip(axes, (False, True), strict=True):
        axis.axhline(0, color="0.4", linewidth=1)
        axis.axvline(0, color="0.4", linewidth=1)
        axis.set_title("matched to real images" if matched else "steps of a fixed scale", fontsize=10)
        axis.set_xlabel(f"{name_of(GAP)} without feedback, nats", fontsize=9)
        shown = [c for c in every if c.scale.startswith(MATCHED) == matched]
        for c in shown:
            x = c.gap[0] + APART[c.criterion]
            inside = COLOURS[c.data] if c.gain.holds else "white"
            axis.errorbar(
                x, c.gain.mean, xerr=c.gap[1], yerr=c.gain.half, color=COLOURS[c.data], fmt=MARKERS[c.criterion],
                markerfacecolor=inside, capsize=2, elinewidth=0.8,
            )  # fmt: skip
            others = [o.gain.mean for o in shown if (o.data, o.guidance, o.scale) == (c.data, c.guidance, c.scale)]
            if c.gain.mean == max(others):
                how = "" if c.scale == USUAL else c.scale.removeprefix(MATCHED)
                label = f"{c.guidance:g}" + (f", {how.strip()}" if how else "")
                axis.annotate(label, (x, c.gain.mean), xytext=(5, 5), textcoords="offset points", fontsize=8)
    axes[0].set_ylabel(f"{name_of(GAIN)} over none, {POINTS}", fontsize=9)
    for data in dict.fromkeys(c.data for c in every):
        axes[0].plot([], [], color=COLOURS[data], label=data)
    for criterion, marker in MARKERS.items():
        axes[0].plot([], [], marker, color="0.4", label=criterion)
    axes[0].legend(fontsize=8, frameon=False)
    words = (
        f"beside each its guidance scale, and the feedback's where not {USUAL}; filled: holds with all others (Holm)"
    )
    return png(canvas, f"{seeds}; {words}")


if __name__ == "__main__":
    run_stage(main)
