"""What the studies found that this revision holds: each one's question, table and verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from src.errors import InputError
from src.files import read_bytes
from src.reporting.blocks import Block, Fold, Section, Table, Text
from src.reporting.run import Run
from src.reporting.words import MISSING
from src.studies.study import Study, known_studies, read_study
from src.studies.summary import verdict
from src.studies.tables import columns, read_rows, shown


def section(run: Run) -> Section | None:
    """Return all studies with results, folded; None where there is none."""
    folder = run.revision.folder
    files = {name: folder / "metrics" / "studies" / f"{name}.csv" for name in known_studies(folder / "studies")}
    blocks = [_study(name, path, folder / "studies") for name, path in files.items() if path.is_file()]
    return Section("studies", "Studies", blocks) if blocks else None


def _study(name: str, path: Path, folder: Path) -> Block:
    try:
        study, measured = read_study(name, folder), read_rows(read_bytes(path))
    except (InputError, ValueError, LookupError):
        return Text(f"The study {name} of this revision cannot be read.")
    main = study.metrics[0]
    heads = columns(study)
    rows = [_cells(shown(study, measured, variant.name), heads) for variant in study.variants]
    table = Table(_caption(study), heads, rows)
    return Fold(study.title, [Text(study.question), table, Text("; ".join(verdict(study, measured, main)) + ".")])


def _cells(row: Mapping[str, object], heads: Sequence[str]) -> list[str]:
    """A row as the table shows it: a figure that a seed lacks is missing, one that means nothing here is empty."""
    return [MISSING if row.get(head, "") is None else str(row.get(head, "")) for head in heads]


def _caption(study: Study) -> str:
    many = len(study.seeds) > 1
    seeds = f"seeds {study.seeds[0]} to {study.seeds[-1]}" if many else f"seed {study.seeds[0]}"
    return f"Mean \u00b1 95 % interval, {seeds}; differences to '{study.against}', paired by seed"
