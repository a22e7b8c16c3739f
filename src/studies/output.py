"""What a study leaves in metrics/studies: its table, its rows, its figures and, where it asks for them, pictures."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.files import atomic_write, write_csv
from src.markdown import MARKS, markdown_table, write_between
from src.sheets import first_rows
from src.studies.experiments import Experiment
from src.studies.figures import against_gain, by_variant
from src.studies.results import sheet
from src.studies.study import FOLDER as STUDIES
from src.studies.study import Study, known_studies, read_study
from src.studies.summary import Measured, brief
from src.studies.tables import markdown, read_rows, rows
from src.studies.usefulness import correlations, points

FOLDER, PAGE = Path("metrics/studies"), Path("README.md")
CLASSES = 4  # of a variant's picture: the rarest ones


def write_study(
    study: Study, measured: Measured, failures: Mapping[str, str], finished: Sequence[tuple[Mapping[str, Any], str]],
    folder: Path = FOLDER,
) -> None:  # fmt: skip
    """Write <name>.md, .csv, .png and, with enough experiments, -usefulness.png.

    failures: what failed experiments said. finished: rows of experiments.jsonl, for the study's variants and seeds,
    each with the arm that a variant reads.
    """
    found = points(finished, study.metrics[0]) if study.usefulness else {}
    predicted = correlations(found, study.name) if found else {}
    atomic_write(folder / f"{study.name}.md", markdown(study, measured, failures, predicted).encode())
    write_csv(folder / f"{study.name}.csv", rows(study, measured))
    atomic_write(folder / f"{study.name}.png", by_variant(study, measured))
    if found:
        atomic_write(folder / f"{study.name}-usefulness.png", against_gain(found, study.name, study.metrics[0]))


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
        "study's other comparisons (Holm). `python -m stages.study NAME` makes a table again.\n\n"
    )
    absent = [name for name in known_studies(studies) if not (folder / f"{name}.csv").exists()]
    rest = f"\nNot run yet: {', '.join(absent)}.\n" if absent else ""
    atomic_write(folder / "README.md", (lead + index(folder, studies) + rest).encode())
    if page.exists() and MARKS[0].format("studies") in page.read_text():
        write_between(page, index(folder, studies, f"{folder}/"), "studies")


def index(folder: Path = FOLDER, studies: Path = STUDIES, links: str = "") -> str:
    """A row for every study that has results. links: the way to their tables from the page that shows it."""
    found = []
    for name in known_studies(studies):
        study, path = read_study(name, studies), folder / f"{name}.csv"
        if path.exists():
            metric = study.metrics[0]
            said = brief(study, read_rows(path.read_bytes()), metric) or "nothing to compare over several seeds"
            title = f"[{study.title}]({links}{name}.md)"
            found.append({"study": title, "question": study.question, "metric": metric, "found": said})
    return markdown_table(found, ["study", "question", "metric", "found"])
