"""What a study leaves in metrics/studies: its table, its rows, its figures and, where it asks for them, pictures."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.runtime.files import atomic_write, write_csv
from src.runtime.markdown import MARKS, markdown_table, write_between
from src.shards.contact_sheet import first_rows
from src.studies.experiments import Experiment
from src.studies.figures import against_gain, by_variant
from src.studies.paper import PEAK, SHARE, cost
from src.studies.results import sheet
from src.studies.study import Study
from src.studies.study_files import FOLDER as STUDIES
from src.studies.study_files import every_study, known_studies
from src.studies.summary import Measured, absent, brief
from src.studies.tables import markdown, predictions, read_rows, rows
from src.studies.usefulness import correlations, points

FOLDER, PAGE = Path("metrics/studies"), Path("README.md")
DIAGNOSIS = "diagnosis.md"  # of a study about the diagnosis itself, kept by `benchmarks.planted`
CLASSES = 4  # of a variant's picture: the rarest ones


def write_study(
    study: Study, measured: Measured, failures: Mapping[str, str], finished: Sequence[tuple[Mapping[str, Any], str]],
    folder: Path = FOLDER,
) -> None:  # fmt: skip
    """Write <name>.md, .csv, .png and, with enough experiments, -usefulness.csv and -usefulness.png.

    failures: what failed experiments said. finished: rows of experiments.jsonl, for the study's variants and seeds,
    each with the arm that a variant reads.
    """
    found = points(finished, study.metrics[0]) if not study.unpredicted else {}
    predicted = correlations(found)
    atomic_write(folder / f"{study.name}.md", markdown(study, measured, failures, predicted).encode())
    write_csv(folder / f"{study.name}.csv", rows(study, measured))
    atomic_write(folder / f"{study.name}.png", by_variant(study, measured))
    for ending in (".csv", ".png"):  # of an earlier file of the study
        (folder / f"{study.name}-usefulness{ending}").unlink(missing_ok=True)
    if found:
        write_csv(folder / f"{study.name}-usefulness.csv", predictions(predicted))
        atomic_write(folder / f"{study.name}-usefulness.png", against_gain(found, study.metrics[0]))


def write_sheets(study: Study, experiments: Mapping[str, Experiment], folder: Path = FOLDER) -> None:
    """Write the top of each variant's contact sheet, where it has one. experiments: one of each, by its name."""
    for place, variant in enumerate(study.variants):
        found = sheet(experiments[variant.name].name, variant.arm)
        if found is not None:
            name = f"{place:02d}_{re.sub('[^0-9a-z]+', '_', variant.name.lower())}.png"
            atomic_write(folder / study.name / "sheets" / name, first_rows(found, CLASSES, variant.name))


def write_index(folder: Path = FOLDER, studies: Path = STUDIES, page: Path = PAGE) -> None:
    """Write the folder's README.md: every study that has results with its findings; the others by name.

    page: shows the same table, if it has the marks 'studies' for it; one without them must not end hours of work.
    """
    lead = (
        "# Studies\n\nMean differences with 95 % intervals, paired by seed. Bold: differs from zero together with the "
        "study's other comparisons (Holm). `python -m commands.study NAME` makes a table again.\n\n"
    )
    later = [name for name in known_studies(studies) if not (folder / f"{name}.csv").exists()]
    rest = f"\nNot run yet: {', '.join(later)}.\n" if later else ""
    atomic_write(folder / "README.md", (lead + index(folder, studies) + rest + _paper(studies)).encode())
    if page.exists() and MARKS[0].format("studies") in page.read_text():
        write_between(page, index(folder, studies, f"{folder}/"), "studies")


def index(folder: Path = FOLDER, studies: Path = STUDIES, links: str = "") -> str:
    """A row for every study that has results. links: the way to their tables from the page that shows it."""
    found = []
    for study in every_study(studies):
        name, path = study.name, folder / f"{study.name}.csv"
        if path.exists():
            title = f"[{study.title}]({links}{name}.md)"
            said = _found(study, read_rows(path.read_bytes()))
            if (folder / name / DIAGNOSIS).exists():
                said = f"[what the diagnosis says of each]({links}{name}/{DIAGNOSIS})"
            found.append({"study": title, "question": study.question, "found": said})
    return markdown_table(found, ["study", "question", "found"])


def _paper(studies: Path) -> str:
    """What each study would take at the papers' scale."""
    rows = []
    for study in every_study(studies):
        runs, hours = cost(study)
        if runs:
            rows.append({"study": study.title, "experiments": runs, "H200-hours": f"{hours:,.0f}"})
    lead = f"\n## At the papers' scale\n\nSampling alone, at {SHARE:.0%} of {PEAK:.0f} TFLOP/s, each study for itself; "
    lead += (
        "studies share runs. `python -m commands.study NAME --paper` prints the commands, `--collect` makes the table "
    )
    lead += "of what has ended.\n\n"
    return lead + markdown_table(rows, ["study", "experiments", "H200-hours"]) if rows else ""


def _found(study: Study, measured: Measured) -> str:
    said = brief(study, measured) or "nothing to compare over several seeds"
    missing = absent(study, measured)
    return f"{said}<br>{missing}" if missing else said
