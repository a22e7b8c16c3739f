"""The whole report of a run as blocks, in the order in which a reader wants it."""

from src.reporting.blocks import Block, Report, Section
from src.reporting.diagnosis import diagnosed
from src.reporting.findings import WARNING, Finding
from src.reporting.gains import gains, headline, main_arm
from src.reporting.measures import accuracies, main_measure
from src.reporting.revision import WORK_TREE
from src.reporting.run_results import Run, dig
from src.reporting.sections import accuracy, classifiers, comparison, images, pictures, provenance, studies, terms
from src.reporting.wording import listed, setting, with_titles
from src.settings.arms import BASE


def report(run: Run, other: Run | None = None) -> Report:
    """Return the report of a run; with another one, compared with it."""
    findings = diagnosed(run)
    sections = [
        Section("result", "Result", accuracy.result(run)),
        Section("diagnosis", "Diagnosis", _diagnosis(run, findings)),
        Section("comparison", "Comparison", comparison.differences(run, other) if other else []),
        Section("pictures", "Pictures", pictures.contact_sheets(run)),
        Section("classes", "Classes and groups", accuracy.classes(run)),
        Section("images", "Image quality", images.quality(run)),
        Section("feedback", "Feedback", images.feedback(run)),
        Section("errors", "Confusion and calibration", classifiers.errors(run)),
        Section("training", "Training", classifiers.training(run)),
        Section("studies", "Studies", studies.studies(run)),
        Section("cost", "Cost", provenance.cost(run)),
        Section("provenance", "Provenance", provenance.origin(run)),
        Section("terms", "Terms", terms.terms()),
    ]
    choices = [setting(dig(run.params, name)) for name in ("dataset", "generator", "feedback") if name in run.params]
    heading = " \u00b7 ".join(["Report", *choices])
    filled = [section for section in sections if section.blocks]
    return Report(heading, headline(run), _about(run, findings), accuracy.tiles(run), filled)


def _about(run: Run, findings: list[Finding]) -> list[str]:
    """What a reader should know before believing the headline."""
    arm, revision = main_arm(run), run.revision
    lines = [_others(run), studies.over_seeds(run)]
    if arm and BASE in run.accuracy and run.predictions and gains(run, arm):
        seed = setting(dig(run.params, "seed"))
        line = f"One run, seed {seed}: the interval (95 %) is about the draw of the test images alone; another seed "
        lines.insert(0, f"{line}trains other classifiers.")
    warnings = [finding.title for finding in findings if finding.severity == WARNING]
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


def _diagnosis(run: Run, findings: list[Finding]) -> list[Block]:
    if not run.accuracy and not run.quality:
        return ["Nothing was measured, so nothing can be said."]
    if any(finding.severity == WARNING for finding in findings):
        return [*findings] if len(findings) == 1 else ["In the order in which to see to them:", *findings]
    return ["No warning: none of the known failures of the method shows in these numbers.", *findings]
