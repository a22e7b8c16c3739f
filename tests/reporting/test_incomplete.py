"""Tests of reports of runs that lack something: it is said in words, and is never an exception."""

import pytest
import yaml

from src.reporting.charts import curves
from src.reporting.markdown_writer import _paragraph, markdown
from src.reporting.report_writer import page
from tests.reporting import made
from tests.reporting.reading import checked

ABSENT = {
    ("metrics/accuracy.json",): "No arm was measured in this revision.",
    ("metrics/fid_density_coverage.json",): "FID, density, coverage, class agreement: not measured.",
    ("metrics/confusion",): "no interval could be made",
    ("metrics/curves", "metrics/calibration"): "Training curves: not measured.",
    ("metrics/sheets", "metrics/cost", "metrics/splits.json"): "Contact sheets: none in this revision.",
    ("params.yaml", "dvc.lock"): "dvc.locknone",
    ("metrics", "params.yaml", "dvc.lock"): "Nothing was measured, so nothing can be said.",
}


@pytest.mark.parametrize(("absent", "words"), ABSENT.items(), ids=lambda value: value[0])
def test_what_is_not_there_is_said_and_no_exception(healthy, tmp_path, absent, words):
    made.without(healthy, *absent)
    document = made.report_of(healthy, tmp_path)
    assert words in checked(page(document)).text
    markdown(document, {})


def test_a_run_with_nothing_says_so_in_the_headline(healthy, tmp_path):
    made.without(healthy, "metrics")
    assert made.report_of(healthy, tmp_path).headline.startswith("Nothing has been measured")


def test_an_older_commit_with_fewer_fields_is_reported(healthy, tmp_path):
    quality, accuracy = healthy / "metrics/fid_density_coverage.json", healthy / "metrics/accuracy.json"
    for arm in ("synaug", "guided"):
        made.change(quality, arm, "class_agreement", "per_class", value=...)
        made.change(quality, arm, "shipped", "many", value=None)
    made.change(quality, "guided", "feedback", value=...)
    for arm in made.ACCURACY:
        made.change(accuracy, arm, "many", value=None)
        made.change(accuracy, arm, "ece", value=...)
    made.change(accuracy, "guided", "confusion", value=None)
    made.without(healthy, "metrics/calibration", "metrics/sheets/real.png")
    document = made.report_of(healthy, tmp_path, compare="HEAD")
    parsed = checked(page(document))
    assert "Calibration by confidence: not measured" in parsed.text and "feedback: not measured" in parsed.text


def test_groups_and_fairness_are_shown_where_there_are_contexts(healthy, tmp_path):
    for arm in made.ACCURACY:
        for name, value in made.groups().items():
            made.change(healthy / "metrics/accuracy.json", arm, name, value=value)
    document = made.report_of(healthy, tmp_path)
    parsed = checked(page(document))
    assert "worst-group accuracy" in document.headline
    assert "three, pencil (2)" in parsed.text and "demographic parity difference" in parsed.text


def test_without_the_answers_there_is_no_interval_and_the_page_says_why(healthy, tmp_path):
    made.without(healthy, "metrics/confusion")
    document = made.report_of(healthy, tmp_path)
    assert "[" not in document.headline and "no interval could be made" in page(document)


def test_a_picture_that_is_cut_off_is_left_out(healthy, tmp_path):
    path = healthy / "metrics/sheets/generator.png"
    path.write_bytes(path.read_bytes()[:10])
    assert "makes of each condition" not in page(made.report_of(healthy, tmp_path))


def test_what_another_run_left_beside_a_study_experiments_results_is_not_shown(healthy, tmp_path):
    """It runs no stage that draws sheets or measures cost and difficulty."""
    images, before = "data/synth/guided", checked(page(made.report_of(healthy, tmp_path / "before"))).text
    stages = {"synth_guided": {"outs": [{"path": images, "md5": "its own"}]}}
    for beside in ("measure_cost@guided", "measure_difficulty", "draw_sheets"):
        stages[beside] = {"deps": [{"path": images, "md5": "another's"}], "outs": [{"path": "metrics/x"}]}
    (healthy / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}))
    after = checked(page(made.report_of(healthy, tmp_path / "after"))).text
    assert "Contact sheets: none in this revision." in after and "Contact sheets: none" not in before
    for words in ("How hard images are for the base classifier", "Cost of synthesis"):
        assert words in before and words not in after, words


@pytest.mark.parametrize(
    ("space", "words"),
    [("openai_clip", "OpenAI's CLIP"), ("reference_classifier", "the classifier of all real images")],
)
def test_the_main_feature_space_has_its_name(healthy, tmp_path, space, words):
    for arm in ("synaug", "guided"):
        made.change(healthy / "metrics/fid_density_coverage.json", arm, "shipped", value=...)
        made.change(healthy / "metrics/fid_density_coverage.json", arm, "clip", value=...)
        made.change(healthy / "metrics/fid_density_coverage.json", arm, space, value=made.quality()[arm]["shipped"])
    text = checked(page(made.report_of(healthy, tmp_path))).text
    assert f"Synthetic images against real ones, features of {words}" in text


def test_the_generator_is_the_one_that_made_the_images(healthy, tmp_path):
    """A data set's own shipped one, of which params.yaml says nothing."""
    params = yaml.safe_load((healthy / "params.yaml").read_text())
    params |= {"dataset": "fashion_lt", "datasets": {"fashion_lt": {"kind": "fashion"}}}
    (healthy / "params.yaml").write_text(yaml.safe_dump(params))
    text = checked(page(made.report_of(healthy, tmp_path))).text
    assert "tiny_unclip: models/tiny_fashion" in text


def test_a_curve_that_never_moves_is_drawn():
    """Of three classes each classifier may stay at a third."""
    assert curves({"base": [(0, 1 / 3), (10, 1 / 3)]}, "flat", share=True)


def test_a_sentence_that_begins_with_a_plus_is_no_item_of_a_list():
    """As '+ loss feedback against none: ...' of a study."""
    assert _paragraph("+ loss feedback") == "\\+ loss feedback" and _paragraph("a + b") == "a + b"
