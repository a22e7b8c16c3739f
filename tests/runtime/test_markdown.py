"""Tables in Markdown, and the pages that hold them: what a page shows is what its files say."""

import pytest

import benchmarks.method_table
import benchmarks.table
from src.runtime.errors import InputError
from src.runtime.files import read_json
from src.runtime.markdown import markdown_table, write_between
from src.studies.study_writer import index
from src.versions.import_closure import ROOT

MARKS = "<!-- it:begin -->\n", "<!-- it:end -->"
GROUPS = ("waterbirds", "fair", "nico")


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


def methods(*reports: str) -> str:
    return "\n".join(benchmarks.method_table.table(read_json(ROOT / f"metrics/{name}.json")) for name in reports)


@pytest.mark.parametrize(
    ("page", "name", "text"),
    [
        ("README.md", "evidence", benchmarks.table.tables(read_json(ROOT / "metrics/evidence.json"))),
        ("README.md", "studies", index(ROOT / "metrics/studies", ROOT / "studies", "metrics/studies/")),
        ("README.md", "baselines", methods("baselines")),
        ("README.md", "groups", methods("groups/digits_waterbirds")),
        ("metrics/groups/README.md", "groups", methods(*(f"groups/digits_{name}" for name in GROUPS))),
    ],
    ids=lambda value: value if len(value) < 30 else "",
)
def test_a_page_shows_what_the_files_say(page, name, text, tmp_path):
    shown = (ROOT / page).read_text()
    (tmp_path / "page.md").write_text(shown)
    write_between(tmp_path / "page.md", text, name)
    assert (tmp_path / "page.md").read_text() == shown
