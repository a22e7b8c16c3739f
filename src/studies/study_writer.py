"""What a study leaves in metrics/studies: its table, its rows, its figures and, where it asks for them, pictures."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.runtime.files import atomic_write, csv_rows, read_bytes, write_csv
from src.runtime.markdown import MARKS, markdown_table, write_between
from src.shards.contact_sheet import first_rows
from src.studies.experiments import Experiment
from src.studies.figures import against_gain, by_variant, paired_differences
from src.studies.maps import accuracy_map
from src.studies.origin import UNKNOWN, Origin
from src.studies.paper import PEAK, SHARE, cost
from src.studies.results import sheet
from src.studies.study import DISTANCES, Study, Variant
from src.studies.study_files import FOLDER as STUDIES
from src.studies.study_files import every_study, known_studies, read_study
from src.studies.summary import Measured, absent, brief, compares
from src.studies.tables import caption, markdown, numbers, older_commits, origin_of, predictions, read_rows, rows
from src.studies.usefulness import correlations, points

FOLDER, PAGE = Path("metrics/studies"), Path("docs/studies.md")
RESULTS = Path("docs/results.md")  # shows a study's tables between marks of its name
DIAGNOSIS = "diagnosis.md"  # of a study about the diagnosis itself, kept by `benchmarks.planted`
CLASSES = 4  # of a variant's picture: the rarest ones


def write_study(
    study: Study, measured: Measured, failures: Mapping[str, str], finished: Sequence[tuple[Mapping[str, Any], str]],
    origin: Origin = UNKNOWN, folder: Path = FOLDER,
) -> None:  # fmt: skip
    """Write <name>.md, .csv, .png, -map.png where the study has a map, and with enough experiments
    -usefulness.csv and -usefulness.png.

    failures: why failed experiments failed. finished: rows of experiments.jsonl, for the study's variants and seeds,
    each with the arm that a variant reads. origin: whose code made them.
    """
    clouds = points(finished, study.metrics[0], study.split) if not study.unpredicted else {}
    clouds = {metric: cloud for metric, cloud in clouds.items() if metric in study.metrics or metric not in DISTANCES}
    predicted = predictions(correlations(clouds))
    write_csv(folder / f"{study.name}.csv", rows(study, measured, origin))
    _write_page(study, measured, failures, predicted, origin, folder)
    for ending in (".csv", ".png"):  # of an earlier file of the study
        (folder / f"{study.name}-usefulness{ending}").unlink(missing_ok=True)
    if clouds:
        write_csv(folder / f"{study.name}-usefulness.csv", predicted)
        atomic_write(folder / f"{study.name}-usefulness.png", against_gain(clouds, study.metrics[0]))


def write_again(study: Study, protocols: Mapping[str, int], folder: Path = FOLDER) -> None:
    """Write <name>.md and .png from the CSVs that the study left, if it left any; failures are in none of them.

    protocols: those under which commits made results, by their short hashes.
    """
    content, useful = (folder / f"{study.name}{ending}.csv" for ending in ("", "-usefulness"))
    if not content.exists():
        return
    predicted = list(csv_rows(read_bytes(useful))) if useful.exists() else []
    origin = origin_of(read_bytes(content), protocols)
    _write_page(study, read_rows(read_bytes(content)), {}, predicted, origin, folder)


def _write_page(
    study: Study, measured: Measured, failures: Mapping[str, str], predicted: Sequence[Mapping[str, str]],
    origin: Origin, folder: Path,
) -> None:  # fmt: skip
    atomic_write(folder / f"{study.name}.md", markdown(study, measured, failures, predicted, origin).encode())
    drawn = paired_differences if compares(study) else by_variant
    atomic_write(folder / f"{study.name}.png", drawn(study, measured))
    if study.map:
        atomic_write(folder / f"{study.name}-map.png", accuracy_map(study, measured))
    if RESULTS.exists() and MARKS[0].format(study.name) in RESULTS.read_text():
        said = f"{origin.sentence} {caption(study)}.\n\n".lstrip()
        write_between(RESULTS, said + numbers(study, measured), study.name)


def write_sheets(study: Study, experiments: Mapping[str, Experiment], folder: Path = FOLDER) -> None:
    """Write the top of the contact sheets that the study asks for; one that DVC keeps no more, as in a clone, stays as
    it is. experiments: one of each variant."""
    sheets, wanted = folder / study.name / "sheets", dict[str, Variant]()
    for place, variant in enumerate(study.variants):
        if variant.name in study.sheets:
            wanted[f"{place:02d}_{re.sub('[^0-9a-z]+', '_', variant.name.lower())}.png"] = variant
    for path in sheets.glob("*"):
        if path.name not in wanted:  # of an earlier file of the study
            path.unlink()
    for name, variant in wanted.items():
        if (picture := sheet(experiments[variant.name].name, variant.arm)) is not None:
            atomic_write(sheets / name, first_rows(picture, CLASSES, variant.name))


def write_index(folder: Path = FOLDER, studies: Path = STUDIES, page: Path = PAGE) -> None:
    """Write the folder's README.md: every study that has results with its findings; the others by name.

    page: shows the same table, if it has the marks 'studies' for it; one without them must not end hours of work.
    """
    lead = (
        "# Studies\n\nMean differences with 95 % intervals, paired by seed. Bold: differs from zero together with the "
        "study's other comparisons (Holm). `python -m commands.study NAME` makes a table again.\n\n"
    )
    text = lead + index(folder, studies) + _later(folder, studies) + _paper(studies)
    atomic_write(folder / "README.md", text.encode())
    if page.exists() and MARKS[0].format("studies") in page.read_text():
        links = f"{os.path.relpath(folder, page.parent)}/"
        write_between(page, index(folder, studies, links), "studies")


def index(folder: Path = FOLDER, studies: Path = STUDIES, links: str = "") -> str:
    """A row for every study that has results. links: the way to their tables from the page that shows it."""
    table = []
    for study in every_study(studies):
        name, path = study.name, folder / f"{study.name}.csv"
        if path.exists():
            diagnosis = f"[what the diagnosis says of each]({links}{name}/{DIAGNOSIS})"
            finding = _finding(study, read_bytes(path), diagnosis if (folder / name / DIAGNOSIS).exists() else None)
            table.append({"study": f"[{study.title}]({links}{name}.md)", "question": study.question, "found": finding})
    return markdown_table(table, ["study", "question", "found"])


def _later(folder: Path, studies: Path) -> str:
    """The studies without results, each with what answered its question before there were studies."""
    names = []
    for study in (read_study(name, studies) for name in known_studies(studies)):
        if not (folder / f"{study.name}.csv").exists():
            before = f" ([before there were studies](../history/{study.history}))" if study.history else ""
            names.append(study.name + before)
    return f"\nNot run yet: {', '.join(names)}.\n" if names else ""


def _paper(studies: Path) -> str:
    """What each study would take at the papers' scale."""
    rows = []
    for study in every_study(studies):
        runs, hours = cost(study)
        if runs:
            rows.append({"study": study.title, "experiments": runs, "H200-hours": f"{hours:,.0f}"})
    lead = (
        f"\n## At the papers' scale\n\nSampling alone, at {SHARE:.0%} of {PEAK:.0f} TFLOP/s, each study for itself; "
        "studies share runs. `python -m commands.study NAME --paper` prints the commands, `--collect` makes the table "
        "of what has ended.\n\n"
    )
    return lead + markdown_table(rows, ["study", "experiments", "H200-hours"]) if rows else ""


def _finding(study: Study, content: bytes, diagnosis: str | None) -> str:
    measured, older = read_rows(content), older_commits(content)
    lines = [
        diagnosis or brief(study, measured) or "nothing to compare over several seeds",
        None if diagnosis else absent(study, measured),
        f"rows of older code: {older}" if older else None,
    ]
    return "<br>".join(line for line in lines if line)


def shown_as_older(study: Study, folder: Path = FOLDER) -> bool:
    """Whether the study's table is there and says of its rows that they are of older code."""
    path = folder / f"{study.name}.csv"
    return path.exists() and older_commits(path.read_bytes()) is not None
