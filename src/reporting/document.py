"""The whole report of a run as blocks, in the order in which a reader wants it."""

from src.reporting.accuracy_sections import classes_section, result_section, tiles
from src.reporting.blocks import Advice, Block, Report, Section, Text
from src.reporting.classifier_sections import errors_section, training_section
from src.reporting.comparison_section import comparison_section
from src.reporting.contact_sheets_section import pictures_section
from src.reporting.diagnosis import diagnose
from src.reporting.findings import WARNING, Finding
from src.reporting.gains import gains, headline, main_arm
from src.reporting.image_sections import feedback_section, quality_section
from src.reporting.measures import accuracies, main_measure
from src.reporting.provenance_sections import cost_section, provenance_section
from src.reporting.revision import WORK_TREE
from src.reporting.run_results import Run, dig
from src.reporting.seeds_section import seeds_section, seeds_sentence
from src.reporting.studies_section import studies_section
from src.reporting.wording import capitalised, listed, setting, title, with_titles
from src.settings.arms import BASE


def report(run: Run, other: Run | None = None) -> Report:
    """Return the report of a run; with another one, compared with it."""
    findings = diagnose(run.accuracy, run.quality, run.curves, run.params)
    sections = [
        result_section(run),
        _diagnosis(run, findings),
        comparison_section(run, other) if other else None,
        pictures_section(run),
        classes_section(run),
        quality_section(run),
        feedback_section(run),
        errors_section(run),
        training_section(run),
        seeds_section(run),
        studies_section(run),
        cost_section(run),
        provenance_section(run),
    ]
    choices = [setting(dig(run.params, name)) for name in ("dataset", "generator", "feedback") if name in run.params]
    heading = " \u00b7 ".join(["Report", *choices])
    return Report(heading, headline(run), _about(run, findings), tiles(run), [part for part in sections if part])


def _about(run: Run, findings: list[Finding]) -> list[str]:
    """What a reader should know before believing the headline."""
    arm, revision = main_arm(run), run.revision
    lines = [_others(run), seeds_sentence(run)]
    if arm and BASE in run.accuracy and run.predictions and gains(run, arm):
        seed = setting(dig(run.params, "seed"))
        line = f"One run, seed {seed}: the interval (95 %) is about the draw of the test images alone; another seed "
        lines.insert(0, f"{line}trains other classifiers.")
    warnings = [f"{finding.name} ({title(finding.arm)})" for finding in findings if finding.severity == WARNING]
    if warnings:
        lines.append(f"The diagnosis warns: {listed(warnings)}.")
    elif run.accuracy and run.quality:
        lines.append("The diagnosis has no warning.")
    name = "Work tree" if revision.name == WORK_TREE else revision.name
    commit = f"commit {revision.commit[:12]} of {revision.date[:10]}" if revision.commit else "before the first commit"
    since = f", {len(revision.changed)} files changed since" if revision.changed else ""
    return [line for line in (*lines, f"{name}, {commit}{since}.") if line]


def _others(run: Run) -> str | None:
    """Where the other arms stand in the headline's measure."""
    measure, main = main_measure(run.accuracy.get(BASE)), main_arm(run)
    values = {arm: accuracies(run.accuracy[arm]).get(measure) for arm in run.arms if arm not in (BASE, main)}
    others = with_titles({arm: value for arm, value in values.items() if value is not None})
    return f"For comparison: {listed(others)}." if others and main else None


def _diagnosis(run: Run, findings: list[Finding]) -> Section:
    blocks: list[Block] = [
        Advice(finding.severity, f"{capitalised(finding.name)} ({title(finding.arm)})", finding.numbers, finding.advice)
        for finding in findings
    ]
    if not run.accuracy and not run.quality:
        blocks = [Text("Nothing was measured, so nothing can be said.")]
    elif not any(finding.severity == WARNING for finding in findings):
        blocks.insert(0, Text("No warning: none of the known failures of the method shows in these numbers."))
    return Section("diagnosis", "Diagnosis", blocks)
