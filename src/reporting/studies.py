"""What the studies found that this revision holds: each one's question, table and verdict."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image

from src.errors import InputError
from src.files import read_bytes
from src.reporting.blocks import Block, Fold, Picture, Section, Table, Text
from src.reporting.run import Run
from src.reporting.words import MISSING
from src.studies.study import Study, known_studies, read_study
from src.studies.summary import verdict
from src.studies.tables import columns, difference_columns, differences, read_rows, shown


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
    table = Table(_caption(study), columns(study), _rows([shown(study, measured, v) for v in study.variants]))
    blocks: list[Block] = [Text(study.question), table]
    if found := differences(study, measured):
        caption = "Paired differences, each \u00b1 95 % by itself"
        blocks.append(Table(caption, difference_columns(study), _rows(found)))
    if said := verdict(study, measured, study.metrics[0]):
        blocks.append(Text("; ".join(said) + "."))
    return Fold(study.title, [*blocks, *_figures(study, path)])


def _figures(study: Study, path: Path) -> list[Block]:
    """The study's PNGs, as far as they are there; their numbers stand in the table and in metrics/studies."""
    told = {
        "": f"Mean and 95 % interval of {', '.join(study.metrics)} for each variant; the numbers are in the table",
        "-usefulness": f"Image metrics of each experiment against what it gained in {study.metrics[0]} accuracy, less "
        "the means of its seed, with rank correlations",
    }
    found = []
    for suffix, alt in told.items():
        file = path.with_name(f"{study.name}{suffix}.png")
        with suppress(OSError), Image.open(file, formats=["PNG"]) as image:
            found.append(Picture(f"study-{study.name}{suffix}", alt, f"{alt}.", file, image.size))
    return [*found]


def _rows(rows: Sequence[Mapping[str, object]]) -> list[list[str]]:
    return [[MISSING if cell is None else str(cell) for cell in row.values()] for row in rows]


def _caption(study: Study) -> str:
    many = len(study.seeds) > 1
    seeds = f"seeds {study.seeds[0]} to {study.seeds[-1]}" if many else f"seed {study.seeds[0]}"
    return f"Mean \u00b1 95 % interval, {seeds}" if many else f"Measured, {seeds}"
