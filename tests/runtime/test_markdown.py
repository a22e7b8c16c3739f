"""Tables in Markdown, and the pages that hold them between marks."""

import pytest

from src.runtime.errors import InputError
from src.runtime.markdown import markdown_table, write_between

MARKS = "<!-- it:begin -->\n", "<!-- it:end -->"


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
