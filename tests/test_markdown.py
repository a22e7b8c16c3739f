"""Tables in Markdown."""

from src.markdown import markdown_table


def test_a_table_shows_absent_values_as_dashes():
    table = markdown_table([{"arm": "base", "few": 43.21}, {"arm": "a|b", "few": None, "n": 3}], ["arm", "few", "n"])
    assert table == "| arm | few | n |\n| --- | --- | --- |\n| base | 43.2 | - |\n| a\\|b | - | 3 |\n"
