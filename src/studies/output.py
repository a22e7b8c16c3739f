"""What a study leaves in metrics/studies: its table, its rows, its figures and, where it asks for them, pictures."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.files import atomic_write, write_csv
from src.markdown import markdown_table
from src.sheets import first_rows
from src.studies.experiments import Experiment
from src.studies.figures import against_gain, by_variant
from src.studies.results import sheet
from src.studies.study import FOLDER as STUDIES
from src.studies.study import Study, known_studies, read_study
from src.studies.summary import Measured, verdict
from src.studies.tables import markdown, read_rows, rows
from src.studies.usefulness import correlations, points

FOLDER = Path("metrics/studies")
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


def write_index(folder: Path = FOLDER, studies: Path = STUDIES) -> None:
    """Write README.md: every study that has results, its question and verdict, with a link to its table; the others."""
    found, absent = [], []
    for name in known_studies(studies):
        study, path = read_study(name, studies), folder / f"{name}.csv"
        if path.exists():
            said = "; ".join(verdict(study, read_rows(path.read_bytes()), study.metrics[0]))
            found.append({"study": f"[{study.title}]({name}.md)", "question": study.question, "found": said})
        else:
            absent.append(name)
    lead = (
        "# Studies\n\nMean differences with 95 % intervals, paired by seed, in the first metric of each table. "
        "`python -m stages.study NAME` makes a table again.\n\n"
    )
    table = markdown_table(found, ["study", "question", "found"])
    rest = f"\nNot run yet: {', '.join(absent)}.\n" if absent else ""
    atomic_write(folder / "README.md", (lead + table + rest).encode())
