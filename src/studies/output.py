"""What a study leaves in metrics/studies: its table, its rows, its figures and, where it asks for them, pictures."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.files import atomic_write, write_csv
from src.report import first_rows
from src.studies.experiments import Experiment
from src.studies.figures import against_gain, by_variant
from src.studies.results import sheet
from src.studies.study import Study
from src.studies.summary import Measured
from src.studies.tables import markdown, rows
from src.studies.usefulness import correlations, points

FOLDER = Path("metrics/studies")
CLASSES = 4  # of a variant's picture: the rarest ones


def write_study(
    study: Study, measured: Measured, failures: Mapping[str, str], finished: Sequence[Mapping[str, Any]],
    folder: Path = FOLDER,
) -> None:  # fmt: skip
    """Write <name>.md, .csv, .png and, with enough experiments, -usefulness.png.

    failures: what failed experiments said. finished: rows of experiments.jsonl, for the study's variants and seeds.
    """
    found = points(finished, "guided", study.metrics[0])
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
