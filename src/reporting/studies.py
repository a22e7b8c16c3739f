"""What the studies found that this revision holds: each one's question, table and verdict."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from src.reporting.blocks import Block, Fold, Picture, Section, Table, Text
from src.reporting.number_format import MISSING
from src.reporting.run_results import Run
from src.runtime.errors import InputError
from src.runtime.files import read_bytes
from src.studies.study import Study
from src.studies.study_files import known_studies, read_study
from src.studies.summary import absent, verdict
from src.studies.tables import (
    PREDICTED,
    REPORTED,
    columns,
    difference_columns,
    differences,
    figures,
    read_rows,
    reported,
    shown,
)


def section(run: Run) -> Section | None:
    """Return all studies with results, folded, each at the papers' scale too; None where there is none."""
    folder = run.revision.folder
    names = known_studies(folder / "studies")
    files = {name: folder / "metrics" / "studies" / f"{name}.csv" for name in names}
    papers = {name: path.with_name(f"{name}-paper.csv") for name, path in files.items()}
    both = [(name, paths[name], paths is papers) for name in names for paths in (files, papers)]
    blocks = [_study(name, path, folder / "studies", paper) for name, path, paper in both if path.is_file()]
    return Section("studies", "Studies", blocks) if blocks else None


def _study(name: str, path: Path, folder: Path, paper: bool) -> Block:
    try:
        study, measured = read_study(name, folder), read_rows(read_bytes(path))
        study = study.paper or study if paper else study
    except (InputError, ValueError, LookupError):
        return Text(f"The study {name} of this revision cannot be read.")
    table = Table(_caption(study), columns(study), _rows([shown(study, measured, v) for v in study.variants]))
    blocks: list[Block] = [Text(study.question), table]
    if missing := absent(study, measured):
        blocks.append(Text(f"{missing}; metrics/studies says of each why."))
    if found := differences(study, measured):
        caption = "Paired differences, each \u00b1 95 % by itself"
        blocks.append(Table(caption, difference_columns(study), _rows(found)))
    blocks += [Text(f"{said[0].upper()}{said[1:]}.") for said in verdict(study, measured)]
    if study.reported:
        blocks.append(Table("Reported elsewhere, on other data", REPORTED, _rows(reported(study)), words=True))
    return Fold(study.title, [*blocks, *_usefulness(study, path), *_figures(study, path)])


def _usefulness(study: Study, path: Path) -> list[Block]:
    """What image metrics tell of the gain, as the study wrote it."""
    file = path.with_name(f"{study.name}-usefulness.csv")
    if not file.is_file():
        return []
    content = csv.DictReader(io.StringIO(read_bytes(file).decode("utf-8", "replace")))
    if list(content.fieldnames or ()) != PREDICTED:
        return [Text(f"What image metrics tell of the gain in the study {study.name} cannot be read.")]
    rows = [[str(cell) for cell in row.values()] for row in content]
    return [Table(f"Does an image metric order a seed's experiments as their gain in {study.metrics[0]} accuracy does?",
                  PREDICTED, rows)]  # fmt: skip


def _figures(study: Study, path: Path) -> list[Block]:
    """The study's PNGs, as far as they are there; their numbers stand in the tables."""
    found: list[Block] = []
    for suffix, title in figures(study).items():
        file = path.with_name(f"{study.name}{suffix}.png")
        if not file.is_file():
            continue
        try:
            with Image.open(file, formats=["PNG"]) as image:
                alt = f"{title}; the numbers stand in the tables."
                found.append(Picture(f"study-{study.name}{suffix}", title, alt, file, image.size))
        except OSError:
            found.append(Text(f"The figure {file.name} of this revision is damaged."))
    return found


def _rows(rows: Sequence[Mapping[str, object]]) -> list[list[str]]:
    return [[MISSING if cell is None else str(cell) for cell in row.values()] for row in rows]


def _caption(study: Study) -> str:
    many = len(study.seeds) > 1
    seeds = f"seeds {study.seeds[0]} to {study.seeds[-1]}" if many else f"seed {study.seeds[0]}"
    return f"Mean \u00b1 95 % interval, {seeds}" if many else f"Measured, {seeds}"
