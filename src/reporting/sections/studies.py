"""What the studies found that this revision holds: each one's question, table and verdict."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from src.reporting.blocks import Block, Fold, Picture, Table
from src.reporting.run_results import Run, dig
from src.reporting.wording import MISSING, capitalised
from src.runtime.errors import InputError
from src.runtime.files import read_bytes
from src.studies import tables
from src.studies.study import Study
from src.studies.study_files import BENCHMARK, known_studies, read_study
from src.studies.summary import absent, difference, verdict

EVIDENCE, EVIDENCE_BASE, UNGUIDED = "evidence", "base, cross-entropy", "text + image + dropout"
# The variant of the study of evidence that has the feedback of each name in params.yaml.
LIKE = {"none": UNGUIDED, "loss": "+ loss feedback", "entropy": "+ entropy feedback", "hardness": "+ hardness feedback"}


def studies(run: Run) -> list[Block]:
    """Return all studies of the run's data and generator with results, folded, each at the papers' scale too."""
    files, results = run.revision.folder / "studies", run.revision.folder / "metrics" / "studies"
    blocks = [
        _study(name, path, files, ending != "", run)
        for name in known_studies(files)
        for ending in ("", "-paper")
        if (path := results / f"{name}{ending}.csv").is_file()
    ]
    return [block for block in blocks if block is not None]


def over_seeds(run: Run) -> str | None:
    """What feedback like the run's gains over many seeds, and its own part in it; None for other data or results."""
    folder, arm = run.revision.folder, LIKE.get(str(dig(run.params, "feedback")))
    try:
        study = read_study(EVIDENCE, folder / "studies")
        measured = tables.read_rows(read_bytes(folder / f"metrics/studies/{EVIDENCE}.csv"))
    except (InputError, OSError, ValueError, LookupError):
        return None
    if arm is None or not _about_this(study, run):
        return None
    few = study.metrics[0]
    gain, part = (difference(study, measured, (arm, other), few) for other in (EVIDENCE_BASE, UNGUIDED))
    if gain is None:
        return None
    text = f"Over {len(study.seeds)} other seeds ({study.seeds[0]} to {study.seeds[-1]}), guided images with the "
    text += f"default's settings and this feedback gain {gain.size} points ({few}-shot)"
    return text + (f", of which the feedback {part.size}." if part and arm != UNGUIDED else ".")


def _about_this(study: Study, run: Run) -> bool:
    """Whether a variant of the study has the run's data set, and one its generator."""
    return all(dig(run.params, name) in {variant.settings[name] for variant in study.variants} for name in BENCHMARK)


def _study(name: str, path: Path, files: Path, paper: bool, run: Run) -> Block | None:
    """One study, None about other data. path: its results; files: the folder of its definition; paper: whether at the
    papers' scale."""
    try:
        study, measured = read_study(name, files), tables.read_rows(read_bytes(path))
        study = study.paper or study if paper else study
    except (InputError, ValueError, LookupError):
        return f"The study {name} of this revision cannot be read."
    if not _about_this(study, run):
        return None
    rows = [tables.shown(study, measured, variant) for variant in study.variants]
    first, last = study.seeds[0], study.seeds[-1]
    caption = f"Mean \u00b1 95 % interval, seeds {first} to {last}" if first != last else f"Measured, seed {first}"
    blocks: list[Block] = [study.question, Table(caption, tables.columns(study), _cells(rows))]
    if missing := absent(study, measured):
        blocks.append(f"{missing}; metrics/studies says of each why.")
    if differences := tables.differences(study, measured):
        caption = "Paired differences, each \u00b1 95 % by itself"
        blocks.append(Table(caption, tables.difference_columns(study), _cells(differences)))
    blocks += [f"{capitalised(sentence)}." for sentence in verdict(study, measured)]
    if study.reported:
        reported = _cells(tables.reported(study))
        blocks.append(Table("Reported elsewhere, on other data", tables.REPORTED, reported, words=True))
    return Fold(study.title, [*blocks, *_usefulness(study, path.parent), *_figures(study, path.parent)])


def _usefulness(study: Study, results: Path) -> list[Block]:
    """What image metrics tell of the gain, as the study wrote it."""
    file = results / f"{study.name}-usefulness.csv"
    if not file.is_file():
        return []
    content = csv.DictReader(io.StringIO(read_bytes(file).decode("utf-8", "replace")))
    if list(content.fieldnames or ()) != tables.PREDICTED:
        return [f"What image metrics tell of the gain in the study {study.name} cannot be read."]
    caption = f"Does an image metric order a seed's experiments as their gain in {study.metrics[0]} accuracy does?"
    return [Table(caption, tables.PREDICTED, [[str(cell) for cell in row.values()] for row in content])]


def _figures(study: Study, results: Path) -> list[Block]:
    """The study's PNGs, as far as they are there; their numbers stand in the tables."""
    blocks: list[Block] = []
    for ending, title in tables.figures(study).items():
        file = results / f"{study.name}{ending}.png"
        try:
            with Image.open(file, formats=["PNG"]) as image:
                alt = f"{title}; the numbers stand in the tables."
                blocks.append(Picture(f"study-{study.name}{ending}", title, alt, file, image.size))
        except FileNotFoundError:
            continue
        except OSError:
            blocks.append(f"The figure {file.name} of this revision is damaged.")
    return blocks


def _cells(rows: Sequence[Mapping[str, object]]) -> list[list[str]]:
    return [[MISSING if cell is None else str(cell) for cell in row.values()] for row in rows]
