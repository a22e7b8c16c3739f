"""What the evidence over seeds says about settings like those of the run: means with 95 % intervals, paired gains."""

from src.reporting.blocks import Block, Table
from src.reporting.measures import ADJECTIVE, main_measure
from src.reporting.run_results import Run, dig
from src.reporting.wording import MISSING, mean_percent, mean_points, title
from src.settings.arms import BASE, BOUND

# Arms of metrics/evidence.json that a report shows, with their titles; the others are in README.md.
EVIDENCE_BASE, UNGUIDED = "base_ce", "dropout"
TITLES = {
    EVIDENCE_BASE: title(BASE),
    "synaug": title("synaug"),
    "text_image": "text + image",
    UNGUIDED: "text + image + dropout",
    "loss": "+ loss feedback",
    "entropy": "+ entropy feedback",
    "hardness": "+ hardness feedback",
    BOUND: title(BOUND),
}
# The arm of the evidence with the feedback of each name in params.yaml.
LIKE = {"none": UNGUIDED, "loss": "loss", "entropy": "entropy", "hardness": "hardness"}


def table(run: Run) -> list[Block]:
    """Return the table; nothing where the evidence is about other data, or there is none."""
    if not _about_this(run):
        return []
    seeds, rows = run.evidence["seeds"], []
    for arm in (arm for arm in TITLES if arm in run.evidence["arms"]):
        cells = []
        for shot in ("overall", "few"):
            accuracies, gains = _accuracies(run, arm, shot), _gains(run, arm, shot)
            cells.append(MISSING if accuracies is None else mean_percent(accuracies))
            cells.append("" if arm == EVIDENCE_BASE else MISSING if gains is None else mean_points(gains))
        rows.append([TITLES[arm], *cells])
    split = dig(run.evidence, "split")
    caption = f"Mean and 95 % interval over {len(seeds)} seeds ({seeds[0]} to {seeds[-1]}), {split} split; "
    columns = ["", "overall", "over base", "few", "over base"]
    note = "From metrics/evidence.json, which was made with settings of its own; README.md has the whole table."
    return [Table(f"{caption}differences paired", columns, rows), note]


def sentence(run: Run) -> str | None:
    """Return the gain of feedback like the run's over many seeds, and the feedback's part in it; None without it."""
    arm = LIKE.get(str(dig(run.params, "feedback")))
    measure = main_measure(run.accuracy.get(BASE))
    gains = _gains(run, arm, measure) if arm and _about_this(run) else None
    if arm is None or gains is None:
        return None
    seeds = run.evidence["seeds"]
    text = f"Over {len(seeds)} other seeds ({seeds[0]} to {seeds[-1]}), guided images with the default's settings "
    text += f"and this feedback gain {mean_points(gains)} points ({ADJECTIVE[measure]})"
    part = _gains(run, arm, measure, over=UNGUIDED) if arm != UNGUIDED else None
    return text + (f", of which the feedback {mean_points(part)}." if part else ".")


def _about_this(run: Run) -> bool:
    same = all(dig(run.evidence, "settings", name) == dig(run.params, name) for name in ("dataset", "generator"))
    return same and len(dig(run.evidence, "seeds") or []) > 1 and bool(dig(run.evidence, "arms"))


def _accuracies(run: Run, arm: str, shot: str) -> list[float] | None:
    """One value for each seed; None if any is missing."""
    values = [dig(run.evidence, "arms", arm, str(seed), "full", shot) for seed in run.evidence["seeds"]]
    return None if None in values else values


def _gains(run: Run, arm: str, shot: str, over: str = EVIDENCE_BASE) -> list[float] | None:
    """The arm's differences to another, seed by seed; None if any value is missing."""
    ours, theirs = (_accuracies(run, name, shot) for name in (arm, over))
    return None if ours is None or theirs is None else [a - b for a, b in zip(ours, theirs, strict=True)]
