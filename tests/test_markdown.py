"""Tables in Markdown, and the pages that hold them: what a page shows is what its files say."""

import pytest

import benchmarks.method_table
import benchmarks.table
from src.errors import InputError
from src.files import read_json
from src.markdown import markdown_table, write_between
from src.studies.output import index
from tests.closure import ROOT

MARKS = "<!-- it:begin -->\n", "<!-- it:end -->"
GROUPS = [ROOT / f"metrics/groups/{name}.json" for name in ("digits_waterbirds", "digits_fair", "digits_nico")]


def test_a_table_shows_absent_values_as_dashes():
    table = markdown_table([{"arm": "base", "few": 43.21}, {"arm": "a|b", "few": None, "n": 3}], ["arm", "few", "n"])
    assert table == "| arm | few | n |\n| --- | --- | --- |\n| base | 43.2 | - |\n| a\\|b | - | 3 |\n"


def test_text_replaces_what_stood_between_the_marks_and_nothing_else(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(f"before\n{MARKS[0]}old\n{MARKS[1]}\nafter\n")
    for text in ("first", "second"):
        write_between(page, text, "it")
    assert page.read_text() == f"before\n{MARKS[0]}\nsecond\n{MARKS[1]}\nafter\n"


@pytest.mark.parametrize("text", ["no marks", MARKS[0], MARKS[1], f"{MARKS[1]}\n{MARKS[0]}"])
def test_a_page_without_its_marks_is_left_alone(tmp_path, text):
    page = tmp_path / "README.md"
    page.write_text(text)
    with pytest.raises(InputError, match=r"lacks the marks .* restore them with git"):
        write_between(page, "tables", "it")
    assert page.read_text() == text


def generated(name: str) -> str:
    """The part of that name as the files say it."""
    if name == "evidence":
        return benchmarks.table.tables(read_json(ROOT / "metrics/evidence.json"))
    if name == "studies":
        return index(ROOT / "metrics/studies", ROOT / "studies", "metrics/studies/")
    reports = {"baselines": [ROOT / "metrics/baselines.json"], "groups": GROUPS}[name]
    return "\n".join(benchmarks.method_table.table(read_json(report)) for report in reports)


@pytest.mark.parametrize("name", ["evidence", "studies", "baselines", "groups"])
def test_the_readme_shows_what_the_files_say(name, tmp_path):
    page = tmp_path / "README.md"
    page.write_text((ROOT / "README.md").read_text())
    write_between(page, generated(name), name)
    assert page.read_text() == (ROOT / "README.md").read_text()
