"""What the studies found that this revision holds: each one's question, table and verdict."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from src.reporting.blocks import Block, Fold, Table
from src.reporting.run_results import Run, dig
from src.reporting.sections.pictures import picture
from src.reporting.wording import MISSING, capitalised
from src.runtime.errors import InputError
from src.runtime.files import read_bytes
from src.studies import tables
from src.studies.study import Study
from src.studies.study_files import known_studies, read_study
from src.studies.summary import absent, difference, name_of, verdict

EVIDENCE, UNGUIDED = "evidence", "text + image + dropout"
# What a run's guided images must beat to be worth their cost: the variants of the study, with their names here.
RIVALS = {
    "base, cross-entropy": "no synthetic images",
    "base, balanced softmax": "balanced softmax without any",
    "SYNAuG": "SYNAuG's",
    "text": "those from text alone",
    UNGUIDED: "the same without feedback",
}
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
    """What images with feedback like the run's gain over many seeds, by rival; None for other data or results."""
    folder, arm = run.revision.folder, LIKE.get(str(dig(run.params, "feedback")))
    try:
        study = read_study(EVIDENCE, folder / "studies")
        measured = tables.read_rows(read_bytes(folder / f"metrics/studies/{EVIDENCE}.csv"))
    except (InputError, OSError, ValueError, LookupError):
        return None
    if arm is None or not _about_this(study, run):
        return None
    few = study.metrics[0]
    gains = {name: difference(study, measured, (arm, other), few) for other, name in RIVALS.items() if other != arm}
    texts = [f"{gain.size} over {name}" for name, gain in gains.items() if gain]
    if not texts:
        return None
    text = f"Over {len(study.seeds)} other seeds ({study.seeds[0]} to {study.seeds[-1]}), guided images with the "
    text += "default's settings and this feedback gain, in "
    return f"{text}points of {name_of(few)}: {', '.join(texts)}."


def _about_this(study: Study, run: Run) -> bool:
    """Whether a variant of the study has the run's data set, and one its generator."""
    about = ("dataset", "generator")
    return all(dig(run.params, name) in {variant.settings[name] for variant in study.variants} for name in about)


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
    blocks: list[Block] = [study.question, Table(tables.caption(study), tables.columns(study), _cells(rows))]
    if missing := absent(study, measured):
        blocks.append(f"{missing}; metrics/studies says of each why.")
    if differences := tables.differences(study, measured):
        caption = "Paired differences, each \u00b1 95 % by itself"
        blocks.append(Table(caption, tables.difference_columns(study), _cells(differences)))
    blocks += [f"{capitalised(sentence)}." for sentence in verdict(study, measured)]
    if study.reported:
        reported = _cells(tables.reported(study))
        blocks.append(Table("Reported elsewhere, on other data", tables.REPORTED, reported, words=True))
    return Fold(study.title, [*blocks, *_usefulness(study, path.parent), *_pictures(study, path.parent)])


def _usefulness(study: Study, results: Path) -> list[Block]:
    """What image metrics tell of the gain, as the study wrote it."""
    file = results / f"{study.name}-usefulness.csv"
    if not file.is_file():
        return []
    content = csv.DictReader(io.StringIO(read_bytes(file).decode("utf-8", "replace")))
    if list(content.fieldnames or ()) != tables.PREDICTED:
        return [f"What image metrics tell of the gain in the study {study.name} cannot be read."]
    caption = f"Does an image metric order a seed's experiments as their gain in {name_of(study.metrics[0])} does?"
    return [Table(caption, tables.PREDICTED, [[str(cell) for cell in row.values()] for row in content])]


def _pictures(study: Study, results: Path) -> list[Block]:
    """The study's figures, whose numbers stand in the tables, and the top of its variants' contact sheets."""
    sheets = sorted((results / study.name / "sheets").glob("*.png"))
    shown = [(results / f"{study.name}{ending}.png", title) for ending, title in tables.figures(study).items()]
    shown += [(path, f"Images of {_variant(study, path)}, the rarest classes") for path in sheets]
    blocks: list[Block] = []
    for path, title in shown:
        alt = f"{title}." if path in sheets else f"{title}; the numbers stand in the tables."
        try:
            blocks.append(picture(path, f"study-{study.name}-{path.stem}", title, alt))
        except FileNotFoundError:
            continue
        except OSError:
            blocks.append(f"The picture {path.name} of this revision is damaged.")
    return blocks


def _variant(study: Study, sheet: Path) -> str:
    """Whose contact sheet it is: its name begins with the variant's place."""
    place = sheet.stem.partition("_")[0]
    known = place.isdecimal() and int(place) < len(study.variants)
    return study.variants[int(place)].name if known else sheet.stem


def _cells(rows: Sequence[Mapping[str, object]]) -> list[list[str]]:
    return [[MISSING if cell is None else str(cell) for cell in row.values()] for row in rows]
