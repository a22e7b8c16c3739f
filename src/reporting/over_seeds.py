"""What the evidence over seeds says about settings like those of the run: means with 95 % intervals, paired gains."""

from collections.abc import Mapping
from typing import Any

from src.evaluation.intervals import mean_ci
from src.reporting.blocks import Section, Table, Text
from src.reporting.findings import main_measure
from src.reporting.gains import ADJECTIVE
from src.reporting.number_format import MISSING, percent, points
from src.reporting.run_results import Run, dig

# Arms of metrics/evidence.json that a report shows; the others are in README.md.
ARMS = {
    "base_ce": "base",
    "synaug": "SYNAuG",
    "text_image": "text + image",
    "dropout": "text + image + dropout",
    "loss": "+ loss feedback",
    "entropy": "+ entropy feedback",
    "hardness": "+ hardness feedback",
    "all_real": "all real",
}
LIKE = {"none": "dropout", "loss": "loss", "entropy": "entropy", "hardness": "hardness"}


def section(run: Run) -> Section | None:
    """Return the table; None where the evidence is about other data, or there is none."""
    if not _about_this(run):
        return None
    seeds, arms = run.evidence["seeds"], run.evidence["arms"]
    rows = []
    for arm in (arm for arm in ARMS if arm in arms):
        cells = []
        for shot in ("overall", "few"):
            values, gain = _values(run.evidence, arm, shot), _gain(run.evidence, arm, shot)
            cells.append(MISSING if values is None else _mean(values, percent))
            cells.append("" if arm == "base_ce" else MISSING if gain is None else _mean(gain, points))
        rows.append([ARMS[arm], *cells])
    columns = ["", "overall", "over base", "few", "over base"]
    split = dig(run.evidence, "split")
    caption = (
        f"Mean and 95 % interval over {len(seeds)} seeds ({seeds[0]} to {seeds[-1]}), {split} split; differences paired"
    )
    note = "From metrics/evidence.json, which was made with settings of its own; README.md has the whole table."
    return Section("seeds", "Seeds", [Table(caption, columns, rows), Text(note)])


def sentence(run: Run) -> str | None:
    """Return the gain of feedback like the run's over many seeds, and the feedback's part in it; None without it."""
    arm = LIKE.get(str(dig(run.params, "feedback")))
    measure = main_measure(run.accuracy.get("base"))
    gain = _gain(run.evidence, arm, measure) if arm and _about_this(run) else None
    if gain is None or arm is None:
        return None
    seeds = run.evidence["seeds"]
    said = f"Over {len(seeds)} other seeds ({seeds[0]} to {seeds[-1]}), guided images with the default's settings and "
    said += f"this feedback gain {_mean(gain, points)} points ({ADJECTIVE[measure]})"
    part = _gain(run.evidence, arm, measure, over="dropout") if arm != "dropout" else None
    return said + (f", of which the feedback {_mean(part, points)}." if part else ".")


def _about_this(run: Run) -> bool:
    same = all(dig(run.evidence, "settings", name) == dig(run.params, name) for name in ("dataset", "generator"))
    return same and len(dig(run.evidence, "seeds") or []) > 1 and bool(dig(run.evidence, "arms"))


def _values(evidence: Mapping[str, Any], arm: str, shot: str) -> list[float] | None:
    found = [dig(evidence, "arms", arm, str(seed), "full", shot) for seed in evidence["seeds"]]
    return None if None in found else found


def _gain(evidence: Mapping[str, Any], arm: str, shot: str, over: str = "base_ce") -> list[float] | None:
    made, base = (_values(evidence, name, shot) for name in (arm, over))
    return None if made is None or base is None else [a - b for a, b in zip(made, base, strict=True)]


def _mean(values: list[float], words: Any) -> str:
    mean, half = mean_ci(values)
    return f"{words(mean)} \u00b1 {100 * half:.1f}"
