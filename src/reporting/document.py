"""The whole report of a run as blocks, in the order in which a reader wants it."""

from src.evaluation.improvement import BASE
from src.reporting import accuracy, images, origin, over_seeds, studies, training
from src.reporting.blocks import Advice, Block, Report, Section, Text
from src.reporting.compare import comparison
from src.reporting.diagnosis import diagnose
from src.reporting.findings import WARNING, Finding, main_measure, value_of
from src.reporting.gains import gains, headline, main_arm
from src.reporting.number_format import listed, percent, setting
from src.reporting.quality import quality
from src.reporting.revision import WORK_TREE
from src.reporting.run_results import Run, dig, title


def report(run: Run, other: Run | None = None) -> Report:
    """Return the report of a run; with another one, compared with it."""
    found = diagnose(run.accuracy, run.quality, run.curves, run.params)
    sections = [accuracy.headline_table(run), _diagnosis(run, found)]
    sections += [comparison(run, other)] if other else []
    sections += [images.pictures(run), accuracy.where(run), quality(run), images.feedback(run)]
    sections += [training.errors(run), training.training(run)]
    sections += [
        section
        for section in (over_seeds.section(run), studies.section(run), origin.cost(run), origin.provenance(run))
        if section
    ]
    return Report(_title(run), headline(run), _about(run, found), accuracy.tiles(run), sections)


def _title(run: Run) -> str:
    chosen = [setting(dig(run.params, name)) for name in ("dataset", "generator", "feedback") if name in run.params]
    return " \u00b7 ".join(["Report", *chosen])


def _about(run: Run, found: list[Finding]) -> list[str]:
    """What a reader should know before believing the headline."""
    arm, said = main_arm(run), []
    if arm and BASE in run.accuracy and run.told is not None and gains(run, arm):
        said.append(
            f"One run, seed {setting(dig(run.params, 'seed'))}: the interval (95 %) is about the draw of the test "
            "images alone; another seed trains other classifiers."
        )
    said += [words for words in (_others(run), over_seeds.sentence(run)) if words]
    warnings = [f"{finding.name} ({title(finding.arm)})" for finding in found if finding.severity == WARNING]
    if warnings:
        said.append(f"The diagnosis warns: {listed(warnings)}.")
    elif run.accuracy and run.quality:
        said.append("The diagnosis has no warning.")
    revision = run.revision
    name = "Work tree" if revision.name == WORK_TREE else revision.name
    where = (
        f", commit {revision.commit[:12]} of {revision.date[:10]}" if revision.commit else ", before the first commit"
    )
    since = f", {len(revision.changed)} files changed since" if revision.changed else ""
    return [*said, f"{name}{where}{since}."]


def _others(run: Run) -> str | None:
    """Where the other arms stand in the headline's measure."""
    measure = main_measure(run.accuracy.get(BASE))
    values = {arm: value_of(run.accuracy[arm], measure) for arm in run.arms if arm not in (BASE, main_arm(run))}
    told = [f"{title(arm)} {percent(value)}" for arm, value in values.items() if value is not None]
    return f"For comparison: {listed(told)}." if told and main_arm(run) else None


def _diagnosis(run: Run, found: list[Finding]) -> Section:
    blocks: list[Block] = [
        Advice(f.severity, f"{f.name[0].upper()}{f.name[1:]} ({title(f.arm)})", f.numbers, f.advice) for f in found
    ]
    if not run.accuracy and not run.quality:
        blocks = [Text("Nothing was measured, so nothing can be said.")]
    elif not any(f.severity == WARNING for f in found):
        blocks.insert(0, Text("No warning: none of the known failures of the method shows in these numbers."))
    return Section("diagnosis", "Diagnosis", blocks)
