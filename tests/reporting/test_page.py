"""Tests of the page and the Markdown: sound, safe and the same."""

import io
import json
import re

import numpy as np
import pytest
import yaml
from PIL import Image

from src.reporting.blocks import Figure, Side, Table
from src.reporting.markdown_writer import markdown
from src.reporting.measures import label
from src.reporting.report_writer import compact, page, write
from src.reporting.sections.terms import TERMS
from src.versions.import_closure import ROOT
from tests.reporting import made
from tests.reporting.reading import Page, checked, markdown_tables

HOSTILE = ("<script>alert(1)</script>", "a|b*c_d`e", "\"&amp;'", "x" * 60 + " </table>")


def names(document):
    return [section.name for section in document.sections]


def test_the_page_is_sound_and_needs_nothing_else(whole):
    parsed = checked(page(whole))
    assert names(whole) == [
        "result", "diagnosis", "pictures", "classes", "images", "feedback", "errors", "training", "cost",
        "provenance", "terms",
    ]  # fmt: skip
    assert len(parsed.all("img")) == 4 and len(parsed.all("svg")) == 16


@pytest.mark.parametrize("unguided", [0.7, -3.0, None])
def test_how_hard_images_are_is_drawn_unless_a_quantile_is_negative(healthy, tmp_path, unguided):
    measured = {} if unguided is None else made.difficulty(unguided)
    (healthy / "metrics/difficulty.json").write_text(json.dumps(measured))
    document = made.report_of(healthy, tmp_path)
    last = next(section for section in document.sections if section.name == "feedback").blocks[-1]
    if unguided is None:
        assert "criterion on the finished images" in last.caption
    else:
        assert isinstance(last, Table if unguided < 0 else Figure)
        numbers = last if isinstance(last, Table) else last.numbers
        assert list(numbers.rows[0]) == ["real, overall", "0.90", "0.09", "0.90", "1.80", "120"]
        assert isinstance(last, Table) or "median: real 0.90, unguided 0.70, guided 1.20" in last.alt


@pytest.mark.parametrize(("judged", "unguided"), [(True, "1.10"), (False, "0.70")])
def test_of_few_shot_classes_it_is_drawn_where_these_are_judged(healthy, tmp_path, judged, unguided):
    few = made.difficulty(1.1)["loss"]["few"] if judged else dict.fromkeys(("real", "unguided", "guided"))
    measured = {"entropy": {**made.difficulty(0.7)["loss"], "few": few}}
    (healthy / "metrics/difficulty.json").write_text(json.dumps(measured))
    document = made.report_of(healthy, tmp_path)
    last = next(section for section in document.sections if section.name == "feedback").blocks[-1]
    assert last.title.endswith(f"drawn: {label('few' if judged else 'overall')}")
    assert f"median: real 0.90, unguided {unguided}" in last.alt


def test_the_headline_says_the_main_result_with_its_interval(whole):
    words = "Guided synthetic images raise few-shot accuracy from 35.0\u00a0% to 75.0\u00a0%, by +40.0 "
    assert whole.headline.startswith(words)
    assert re.fullmatch(r"\[\+3\d\.\d,\s\+4\d\.\d\] points\.", whole.headline.removeprefix(words))
    assert "The diagnosis has no warning." in whole.about


def test_gains_over_seeds_are_told_with_their_intervals(healthy, tmp_path):
    made.write_evidence(healthy)
    words = next(words for words in made.report_of(healthy, tmp_path).about if words.startswith("Over 10 other seeds"))
    assert words.endswith(
        "feedback gain, in points of few-shot accuracy: +20.1 ± 0.1 over no synthetic images, +10.9 ± 0.2 over "
        "balanced softmax without any, -4.9 ± 0.1 over the same without feedback."
    )


@pytest.mark.parametrize("change", [{"dataset": "folder"}, {"generator": "sd21"}, {"feedback": "unknown"}])
def test_gains_over_seeds_of_other_data_or_feedback_are_not_told(healthy, tmp_path, change):
    made.write_evidence(healthy)
    (healthy / "params.yaml").write_text(yaml.safe_dump({**made.SETTINGS, **change}))
    assert not any("other seeds" in words for words in made.report_of(healthy, tmp_path).about)


def test_a_difference_within_noise_is_called_one(healthy, tmp_path):
    report_file = healthy / "metrics/accuracy.json"
    same = made.accuracy()["base"]
    made.change(report_file, "guided", value=same)
    base = healthy / "metrics/confusion/base.csv"
    (healthy / "metrics/confusion/guided.csv").write_bytes(base.read_bytes())
    document = made.report_of(healthy, tmp_path)
    assert "cannot be told from this run" in document.headline
    assert any("classifier not improving (guided)" in words for words in document.about)


@pytest.mark.parametrize("few", [0.3, 0.35, 0.38, 0.4, 0.42, 0.45, 0.5, 0.6])
def test_the_headline_and_the_diagnosis_agree_on_whether_anything_improved(tmp_path, monkeypatch, few):
    monkeypatch.setitem(made.ACCURACY, "guided", (0.98, 0.94, few, few))  # the base: .5 and .2
    document = made.report_of(made.repository(tmp_path / "repository"), tmp_path)
    words = " ".join([document.headline, *document.about])
    assert ("raise few-shot accuracy" in document.headline) != ("classifier not improving (guided)" in words)


def test_every_table_of_the_page_is_in_the_markdown_with_the_same_cells(whole, healthy, tmp_path):
    made.change(healthy / "metrics/accuracy.json", "guided", "overall", value=0.5)
    for document in (whole, made.report_of(healthy, tmp_path / "again", compare="HEAD")):
        in_page = Page(page(document)).tables
        in_markdown = markdown_tables(markdown(document, {}))[1:]  # the first are the numbers in short
        assert in_page == in_markdown


def test_the_same_results_give_the_same_bytes(healthy, tmp_path):
    first, second = (made.report_of(healthy, tmp_path / name, "HEAD", "HEAD") for name in ("a", "b"))
    assert page(first) == page(second) and markdown(first, {}) == markdown(second, {})


def test_hostile_names_are_text(tmp_path):
    root = made.repository(tmp_path / "repository", HOSTILE)
    (root / "params.yaml").write_text("dataset: '<img src=x onerror=alert(1)>'\ngenerator: a|b\nfeedback: '*none*'\n")
    document = made.report_of(root, tmp_path)
    parsed = checked(page(document))
    assert len(parsed.all("img")) == 3 and "<script>alert(1)</script>" in parsed.text
    text = markdown(document, {})
    assert "<" not in text.replace("](<", ""), "no HTML in Markdown"
    assert markdown_tables(text)[1:] == parsed.tables


def test_the_comparison_names_what_differs(healthy, tmp_path):
    settings = (healthy / "params.yaml").read_text()
    (healthy / "params.yaml").write_text(settings.replace("image_dropout: 0.3", "image_dropout: 0.9"))
    made.change(healthy / "metrics/fid_density_coverage.json", "guided", "class_agreement", "overall", value=0.3)
    document = made.report_of(healthy, tmp_path, compare="HEAD")
    comparison = next(section for section in document.sections if section.name == "comparison")
    tables = {block.caption: block for block in comparison.blocks if isinstance(block, Table)}
    assert list(tables["Parameters that differ (1)"].rows) == [("synth.image_dropout", "0.9", "0.3")]
    accuracies = next(table for caption, table in tables.items() if "on the same test images" in caption)
    same = next(row for row in accuracies.rows if row[0] == "guided, overall")
    assert same[1:3] == ["85.5\u00a0%"] * 2 and re.fullmatch(r"\+0\.0 \[\u22121\.\d,\u00a0\+1\.\d\]", same[3])
    images = {row[0]: row[1:] for row in tables["The images here and there"].rows}
    assert images["guided, class agreement"] == ["30.0\u00a0%", "90.0\u00a0%", "\u221260.0"]
    figures = [figure.title for block in comparison.blocks if isinstance(block, Side) for figure in block.blocks]
    assert len(figures) == 4 and "Validation accuracy, here" in figures
    checked(page(document))


def test_arms_that_were_trained_for_longer_are_named(healthy, tmp_path):
    def training(folder):
        report = made.report_of(healthy, folder)
        return [block for section in report.sections if section.name == "training" for block in section.blocks]

    assert not any(isinstance(block, str) for block in training(tmp_path / "alike"))
    curve = healthy / "metrics/curves/guided.csv"
    curve.write_text("".join(curve.read_text().splitlines(keepends=True)[:-1]))
    (words,) = (block for block in training(tmp_path / "unlike") if isinstance(block, str))
    assert words.startswith(
        "Not all were trained equally long (base 400 steps, guided 300 steps and all real 400 steps)"
    )


def test_the_same_run_again_is_said_to_have_changed_nothing(healthy, tmp_path):
    document = made.report_of(healthy, tmp_path, compare="HEAD")
    (comparison,) = (section for section in document.sections if section.name == "comparison")
    (words,) = comparison.blocks
    assert words.endswith("nothing changed, in parameters or results.")


def test_a_fid_in_features_of_a_judge_that_knows_nothing_is_no_headline(healthy, tmp_path):
    spaces = healthy / "metrics/fid_density_coverage.json"
    space = json.loads(spaces.read_text())["guided"]["shipped"]
    assert any("FID" in tile.title for tile in made.report_of(healthy, tmp_path / "before").tiles)
    made.change(healthy / "metrics/accuracy.json", "all_real", "overall", value=0.1)
    for name in ("shipped", "clip"):
        made.change(spaces, "guided", name, value=...)
    made.change(spaces, "guided", "reference_classifier", value=space)
    assert not any("FID" in tile.title for tile in made.report_of(healthy, tmp_path / "after").tiles)


def test_a_preset_that_is_not_in_use_is_no_difference(healthy, tmp_path):
    settings = (healthy / "params.yaml").read_text()
    (healthy / "params.yaml").write_text(settings.replace("kind: folder", "kind: csv"))
    document = made.report_of(healthy, tmp_path, compare="HEAD")
    assert "Parameters that differ: none." in Page(page(document)).text


def test_numbers_are_read_as_dvc_writes_them(healthy, tmp_path):
    """YAML 1.1 takes 1e-05, to which `-S` sets a scale, for text."""
    settings = (healthy / "params.yaml").read_text()
    (healthy / "params.yaml").write_text(settings.replace("scale: 0.03", "scale: 1e-05"))
    document = made.report_of(healthy, tmp_path / "tiny")
    assert any("guidance inert (guided)" in line for line in document.about)
    (healthy / "params.yaml").write_text(settings.replace("scale: 0.03", "scale: 1e-3"))
    made.commit(healthy, "a small scale as DVC writes it")
    (healthy / "params.yaml").write_text(settings.replace("scale: 0.03", "scale: 0.001"))
    document = made.report_of(healthy, tmp_path / "small", compare="HEAD")
    text = Page(page(document)).text
    assert ": nothing changed, in parameters or results." in text and "differ from those of HEAD: none." in text


def test_pictures_beyond_the_pages_size_are_left_out_and_said_to_be(healthy, tmp_path, monkeypatch):
    sizes = {path.name: len(compact(path)) for path in (healthy / "metrics/sheets").iterdir()}
    monkeypatch.setattr("src.reporting.report_writer.PICTURES", sizes["real.png"] + sizes["synaug.png"])
    parsed = checked(page(made.report_of(healthy, tmp_path)))
    assert len(parsed.all("img")) == 2 and "would grow beyond 5 MB: guided.png" in parsed.text


def test_a_damaged_picture_is_said_to_be_left_out(healthy, tmp_path):
    sheet = healthy / "metrics/sheets/guided.png"
    sheet.write_bytes(sheet.read_bytes()[:-30])
    parsed = checked(page(made.report_of(healthy, tmp_path)))
    assert len(parsed.all("img")) == 3 and "it is damaged or" in parsed.text


def test_a_picture_in_the_page_has_every_pixel_of_its_file(healthy):
    for path in (healthy / "metrics/sheets").iterdir():
        with Image.open(path) as before, Image.open(io.BytesIO(compact(path))) as after:
            assert np.array_equal(np.asarray(before), np.asarray(after))


@pytest.mark.slow
def test_of_many_classes_the_figures_show_the_rarest_and_the_tables_all(tmp_path):
    """The class with the lowest agreement is told though it is a frequent one, which the figure leaves out."""
    classes = [f"class {k:03d}" for k in range(200)]
    root = made.repository(tmp_path / "many", classes)
    made.change(
        root / "metrics/fid_density_coverage.json", "guided", "class_agreement", "per_class", "class 000", value=0.125
    )
    document = made.report_of(root, tmp_path)
    section = next(section for section in document.sections if section.name == "images")
    figure = section.blocks[0].blocks[1]
    assert figure.title.endswith("the 24 rarest of 200") and "guided 12.5\u00a0% for class 000" in figure.alt
    assert sum(row[0].startswith("class") for row in figure.numbers.rows) == 200
    assert len(checked(page(document)).tables) > 0


def test_an_accuracy_of_a_handful_of_test_images_comes_with_their_number(healthy, tmp_path):
    name = next(iter(made.accuracy()["base"]["per_class"]))
    for arm in made.ACCURACY:
        made.change(healthy / "metrics/accuracy.json", arm, "per_class", name, "test_images", value=1)
    classes = next(part for part in made.report_of(healthy, tmp_path).sections if part.name == "classes")
    rows = [row[0] for row in classes.blocks[0].blocks[1].numbers.rows]
    assert [row for row in rows if "tested" in row] == [next(row for row in rows if row.startswith(f"{name} ("))]
    assert any("; 1 tested)" in row for row in rows)


def test_every_metric_of_the_report_is_among_its_terms(whole):
    terms = " ".join(TERMS)
    assert all(name in terms for name in ("FID", "density", "precision", "coverage", "recall", "class agreement"))
    assert all(f"{shot}-shot" in terms for shot in ("few", "medium", "many")) and names(whole)[-1] == "terms"


@pytest.mark.slow
def test_this_repositorys_own_report_shows_every_picture_below_5_mb(tmp_path):
    html = page(made.report_of(ROOT, tmp_path))
    assert "would grow beyond" not in html and len(html.encode()) < 5e6


def test_a_bound_that_bounds_nothing_is_no_arm_of_the_report(healthy, tmp_path):
    assert "all real" in str(made.report_of(healthy, tmp_path / "before").sections[0].blocks[0].columns[-1])
    made.change(healthy / "metrics/accuracy.json", "all_real", "bound", value=False)
    table, note = made.report_of(healthy, tmp_path / "after").sections[0].blocks
    assert not any("all real" in str(column) for column in table.columns) and "All real is no bound here" in note


@pytest.mark.parametrize("change", ["dataset: digits", "generator: tiny_unclip"])
def test_what_the_shipped_generator_makes_is_shown_beside_its_own_digits_alone(healthy, tmp_path, change):
    settings = (healthy / "params.yaml").read_text()
    assert change in settings
    (healthy / "params.yaml").write_text(settings.replace(change, f"{change.partition(':')[0]}: other"))
    assert len(Page(page(made.report_of(healthy, tmp_path))).all("img")) == 3


def test_a_pictures_words_say_what_it_shows(whole):
    alts = [image["alt"] for image in Page(page(whole)).all("img")]
    wanted = ["real training images", "from text alone", "from text + image, image dropout 0.3, feedback entropy"]
    assert all(words in alt for words, alt in zip(wanted, alts, strict=False)), "real first, guided third"


def test_what_feedback_did_is_told_with_and_without_it(whole, healthy, tmp_path):
    parsed = Page(page(whole))
    assert "mean entropy over the guided images is 0.800 at the feedback's first look and 0.900" in parsed.text
    made.change(healthy / "metrics/fid_density_coverage.json", "guided", "feedback", value=None)
    assert "This run had no feedback." in Page(page(made.report_of(healthy, tmp_path / "again"))).text


def test_the_folder_holds_page_markdown_and_the_pictures_that_it_shows(whole, tmp_path):
    html, text = write(whole, tmp_path / "out")
    assert (html.name, text.name) == ("index.html", "report.md")
    addresses = re.findall(r"!\[.+?\]\(<(.+?)>\)", text.read_text())
    assert len(addresses) == 4 and all((tmp_path / "out" / address).is_file() for address in addresses)
