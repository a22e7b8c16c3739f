"""The studies of a revision in its report."""

import pytest
import yaml
from PIL import Image

from src.reporting.blocks import Fold, Picture, Table
from src.reporting.report_writer import page
from src.runtime.files import write_csv
from tests.reporting import made
from tests.reporting.reading import checked

STUDY = """
title: What is told
question: Does the image help?
variants: {text: {}, text + image: {}}
against: text
seeds: 1-2
metrics: [few, fid]
reported: [{variant: text, metric: few, value: null, source: a paper}]
"""
ROWS = [
    {"variant": variant, "seed": seed, "few": few + seed / 100, "fid": 2.5}
    for variant, few in (("text", 0.5), ("text + image", 0.75))
    for seed in (1, 2)
]


@pytest.fixture
def studied(healthy):
    (healthy / "studies").mkdir()
    for name in ("told", "not_run"):
        (healthy / f"studies/{name}.yaml").write_text(STUDY)
    write_csv(healthy / "metrics/studies/told.csv", ROWS)
    return healthy


def studies(document):
    return next((section.blocks for section in document.sections if section.name == "studies"), None)


def test_a_study_with_results_is_told_with_its_table_and_verdict(studied, tmp_path):
    (fold,) = studies(made.report_of(studied, tmp_path))
    assert isinstance(fold, Fold) and fold.title == "What is told"
    question, table, differences, verdict, reported = fold.blocks
    assert question == "Does the image help?"
    assert isinstance(table, Table) and "n = 2 seeds (1 to 2)" in table.caption
    assert [len(row) for row in table.rows] == [len(table.columns)] * 2
    assert table.rows[1] == ["text + image", "76.5 ± 6.4", "2.5 ± 0.0"]
    assert differences.columns == ["difference", "few-shot accuracy, points", "FID"]
    assert differences.rows == [["text + image less text", "+25.0 ± 0.0", "+0.0 ± 0.0"]]
    assert verdict == "Text + image against text: few-shot accuracy higher by 25.0 ± 0.0 points."
    assert reported.rows == [["text", "few-shot accuracy", "unknown", "a paper"]]


def test_a_seed_that_is_missing_is_not_measured(studied, tmp_path):
    write_csv(studied / "metrics/studies/told.csv", ROWS[:3])
    (fold,) = studies(made.report_of(studied, tmp_path))
    assert fold.blocks[1].rows[1] == ["text + image", "not measured", "not measured"]
    assert fold.blocks[2] == "1 of 4 experiments have no result; metrics/studies says of each why."


def test_what_image_metrics_tell_of_the_gain_stands_in_words_too(studied, tmp_path):
    file = studied / "metrics/studies/told-usefulness.csv"
    write_csv(file, [{"metric": "fid", "rank correlation": "-0.50", "95 % interval": "-0.90 to -0.10"}])
    (fold,) = studies(made.report_of(studied, tmp_path))
    assert fold.blocks[-1].rows == [["fid", "-0.50", "-0.90 to -0.10"]]
    file.write_text("something else")
    (fold,) = studies(made.report_of(studied, tmp_path / "again"))
    assert isinstance(fold.blocks[-1], str) and "cannot be read" in fold.blocks[-1]


@pytest.mark.parametrize("content", [b"", b"variant,seed\n", b"\xff", b"a,b\n1,2\n", b"variant,seed,few\ntext,x,1\n"])
def test_results_that_cannot_be_read_stop_no_report(studied, tmp_path, content):
    (studied / "metrics/studies/told.csv").write_bytes(content)
    document = made.report_of(studied, tmp_path)
    assert len(studies(document)) == 1
    checked(page(document))


def test_a_studys_figures_stand_below_its_table_and_a_damaged_one_is_told(studied, tmp_path):
    Image.new("RGB", (30, 20)).save(studied / "metrics/studies/told.png")
    (studied / "metrics/studies/told-usefulness.png").write_bytes(b"cut")
    (fold,) = studies(made.report_of(studied, tmp_path))
    (picture,) = [block for block in fold.blocks if isinstance(block, Picture)]
    assert (
        picture.size == (30, 20) and "differences in few-shot accuracy with 95 % intervals, n = 2 seeds" in picture.alt
    )
    assert fold.blocks[-1] == "The picture told-usefulness.png of this revision is damaged."


def test_studies_of_other_data_are_not_told(studied, tmp_path):
    (studied / "params.yaml").write_text(yaml.safe_dump({**made.SETTINGS, "dataset": "folder"}))
    assert studies(made.report_of(studied, tmp_path)) is None


def test_without_studies_there_is_no_such_section(healthy, tmp_path):
    assert studies(made.report_of(healthy, tmp_path)) is None


def test_a_studys_pictures_stand_in_its_section_named_after_its_variants(studied, tmp_path):
    folder = studied / "metrics/studies/told/sheets"
    folder.mkdir(parents=True)
    for name in ("01_text_image", "gone"):
        Image.new("RGB", (8, 8)).save(folder / f"{name}.png")
    report = made.report_of(studied, tmp_path)
    titles = [block.title for block in studies(report)[0].blocks if isinstance(block, Picture)]
    assert titles == ["Images of text + image, the rarest classes", "Images of gone, the rarest classes"]
    (contact_sheets,) = (section for section in report.sections if section.name == "pictures")
    assert not any("text" in picture.name for picture in contact_sheets.blocks[0].blocks)
