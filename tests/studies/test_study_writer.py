"""What a study leaves: a table, rows, figures, and pictures cut from its experiments' sheets."""

import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from src.runtime.files import write_csv
from src.runtime.markdown import MARKS
from src.shards.contact_sheet import contact_sheet
from src.studies import study_writer
from src.studies.experiments import experiment_of
from src.studies.origin import Origin
from src.studies.results import sheet
from src.studies.study_writer import index, shown_as_older, write_again, write_index, write_sheets, write_study
from src.versions.import_closure import ROOT
from tests.reporting.made import commit, git
from tests.studies.test_study_files import written
from tests.studies.test_summary import MEASURED, STUDY
from tests.studies.test_usefulness import ROWS

NONE, MORE = experiment_of({}, 1), experiment_of({"feedback": "loss"}, 1)


def test_a_study_leaves_its_table_rows_and_figures(tmp_path):
    write_study(STUDY, MEASURED, {}, ROWS, folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "x-usefulness.csv", "x-usefulness.png", "x.csv", "x.md", "x.png",
    ]  # fmt: skip
    text = (tmp_path / "x.md").read_text()
    assert "| FID | -1.00 | -1.00 to -1.00 |" in text
    assert "](x.png)" in text and "](x-usefulness.png)" in text


def test_what_a_study_left_is_written_again_from_its_rows_alone(tmp_path):
    origin = Origin(("1234567",), older=True, protocol=1)
    write_study(STUDY, MEASURED, {}, ROWS, origin, tmp_path)
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("x.md", "x.png"):
        (tmp_path / name).unlink()
    write_again(STUDY, {"1234567": 1}, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == left
    write_again(replace(STUDY, name="never_run"), {}, tmp_path)
    assert len(list(tmp_path.iterdir())) == len(left)


def test_too_few_experiments_make_no_figure_of_usefulness(tmp_path):
    write_study(STUDY, MEASURED, {}, ROWS, folder=tmp_path)
    write_study(STUDY, MEASURED, {}, ROWS[:8], folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "x.md", "x.png"]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A repository in which DVC keeps the experiment NONE, with a sheet of six classes."""
    root = tmp_path / "repository"
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    contact_sheet(root / "metrics/sheets/guided.png", images, columns=2)
    git(root, "init", "--quiet")
    monkeypatch.chdir(root)
    git(root, "update-ref", f"refs/exps/00/{'0' * 38}/{NONE.name}", commit(root, "an experiment"))
    return images


def test_a_variants_picture_shows_the_first_classes_and_says_which_it_is(kept, tmp_path):
    experiments = {"none": NONE, "more": MORE}
    write_sheets(replace(STUDY, sheets=("none",)), experiments, tmp_path)
    (path,) = (tmp_path / "x/sheets").iterdir()
    assert path.name == "00_none.png"
    whole = Image.open(io.BytesIO(sheet(NONE.name, "guided")))
    with Image.open(path) as image:
        assert image.info["Title"] == "none" and image.size == (whole.width, 2 + study_writer.CLASSES * 18)
    git(tmp_path / "repository", "update-ref", "-d", f"refs/exps/00/{'0' * 38}/{NONE.name}")  # as in a clone
    before = path.read_bytes()
    write_sheets(replace(STUDY, sheets=("none", "more")), experiments, tmp_path)
    assert [*tmp_path.glob("x/sheets/*")] == [path] and path.read_bytes() == before
    write_sheets(replace(STUDY, sheets=("more",)), experiments, tmp_path)
    assert not list(tmp_path.glob("x/sheets/*"))


def test_an_arm_without_pictures_has_none(kept):
    assert sheet(NONE.name, "base") is None


def test_the_index_names_every_study_with_results_and_its_verdict(tmp_path):
    (tmp_path / "studies").mkdir()
    for name, history in (("first", None), ("second", "old.md")):
        written(tmp_path / "studies", seeds="1-3", history=history)
        (tmp_path / "studies/x.yaml").rename(tmp_path / f"studies/{name}.yaml")
    few = {"a": 0.5, "b": 0.75}
    rows = [{"variant": name, "seed": seed, "few": value} for seed in (1, 2, 3) for name, value in few.items()]
    write_csv(tmp_path / "first.csv", rows)
    page = tmp_path / "docs/page.md"
    page.parent.mkdir()
    page.write_text("".join(mark.format("studies") for mark in MARKS))
    write_index(tmp_path, tmp_path / "studies", page)
    text = (tmp_path / "README.md").read_text()
    assert "| [T](first.md) | Q? | b over a: **few-shot accuracy +25.0 ± 0.0** |" in text and text.endswith(
        "Not run yet: second ([before there were studies](../history/old.md)).\n"
    )
    assert "| [T](../first.md) | Q? | b over a: **few-shot accuracy +25.0 ± 0.0** |" in page.read_text()


def test_the_index_says_what_is_missing_and_leads_to_a_diagnosis(tmp_path):
    (tmp_path / "studies").mkdir()
    written(tmp_path / "studies", seeds="1-3")
    rows = [{"variant": "a", "seed": seed, "few": 0.5} for seed in (1, 2, 3)]
    write_csv(tmp_path / "x.csv", [*rows, {"variant": "b", "seed": 1, "few": None}])
    write_index(tmp_path, tmp_path / "studies", tmp_path / "none.md")
    said = "nothing to compare over several seeds<br>3 of 6 experiments have no result"
    assert f"| [T](x.md) | Q? | {said} |" in (tmp_path / "README.md").read_text()
    (tmp_path / "x").mkdir()
    (tmp_path / "x/diagnosis.md").touch()
    write_index(tmp_path, tmp_path / "studies", tmp_path / "none.md")
    assert "(x/diagnosis.md)" in (tmp_path / "README.md").read_text()


def test_a_page_without_a_place_for_the_index_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    for text in ("", "a README of one's own"):
        page.write_text(text)
        write_index(tmp_path, tmp_path / "studies", page)
        assert page.read_text() == text


def test_the_index_names_the_commits_of_rows_of_older_code(tmp_path):
    (tmp_path / "studies").mkdir()
    study = written(tmp_path / "studies", seeds="1-3")
    few = {"a": 0.5, "b": 0.75}
    measured = {name: {seed: {"few": value} for seed in (1, 2, 3)} for name, value in few.items()}
    for origin, ending in ((Origin(("1234567",), True), "<br>rows of older code: 1234567"), (Origin(("1234567",)), "")):
        write_study(study, measured, {}, [], origin, tmp_path)
        assert f"**few-shot accuracy +25.0 ± 0.0**{ending} |\n" in index(tmp_path, tmp_path / "studies")
        assert shown_as_older(study, tmp_path) == origin.older
    assert not shown_as_older(study, tmp_path / "elsewhere")


def test_the_pages_of_the_repository_show_what_the_files_of_its_studies_say(tmp_path):
    folder = ROOT / "metrics/studies"
    committed = {path: path.read_text() for path in (folder / "README.md", ROOT / study_writer.PAGE)}
    shutil.copytree(folder, tmp_path / "metrics/studies")
    page = tmp_path / study_writer.PAGE
    page.parent.mkdir()
    shutil.copy(ROOT / study_writer.PAGE, page)
    write_index(tmp_path / "metrics/studies", ROOT / "studies", page)
    assert [(tmp_path / "metrics/studies/README.md").read_text(), page.read_text()] == list(committed.values())
