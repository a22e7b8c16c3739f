"""Names survive the way to the next stage, in an order that people expect."""

import pytest

from src.data.names import Names, in_order, read_names, write_names
from src.runtime.errors import InputError


@pytest.mark.parametrize("names", [Names(("a", "b")), Names(("über", 'q"', "7"), ("on water", "on land"))])
def test_names_return_as_written(names, tmp_path):
    write_names(tmp_path, names)
    assert read_names(tmp_path) == names


def test_the_file_is_plain_json(tmp_path):
    write_names(tmp_path, Names(("a", "b")))
    assert (
        tmp_path / "names.json"
    ).read_text() == '{\n  "classes": [\n    "a",\n    "b"\n  ],\n  "contexts": null\n}\n'


def test_numbers_are_sorted_as_numbers_and_words_as_words():
    assert in_order(["10", "9", "2", "2", "-1"]) == ("-1", "2", "9", "10")
    assert in_order(["10", "9", "a"]) == ("10", "9", "a")
    assert in_order(["7", "07"]) == ("07", "7")


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"classes": []}', '{"classes": [1]}', '{"classes": ["a"], "contexts": "b"}',
     '{"classes": ["a"], "contexts": []}'],
)  # fmt: skip
def test_a_damaged_or_missing_file_is_one_sentence(text, tmp_path):
    with pytest.raises(InputError, match=r"names.json is missing"):
        read_names(tmp_path)
    (tmp_path / "names.json").write_text(text)
    with pytest.raises(InputError, match=r"names.json is (damaged|not valid JSON)"):
        read_names(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["a\u202egnp", "a\u2066b", "\u200fa", "a\nb", "a\rb", "a\tb", "\x1b]0;title\x07", "\x1b[2J", "a\0b", "\x85",
     "\u2028", "\udcff", "</script><script>alert(1)</script>", "<!--<script>"],
)  # fmt: skip
def test_a_name_that_would_change_the_text_around_it_is_refused_and_shown_harmlessly(name):
    with pytest.raises(InputError, match=r"class name .* holds control characters, .*; rename it") as raised:
        Names(("b", name))
    assert str(raised.value).isprintable()
    assert Names(("\u05e2\u05d1\u05e8\u05d9\u05ea", "\u0646\u06cc\u200c\u0645"))  # right-to-left letters, a joiner


def test_a_name_for_two_classes_is_refused():
    with pytest.raises(InputError, match="class name 'crane' stands for two"):
        Names(("crane", "heron", "crane"))
    with pytest.raises(InputError, match="context name 'x' stands for two"):
        Names(("crane", "heron"), ("x", "x"))


def test_a_name_in_two_unicode_forms_is_one_name() -> None:
    """Archives made on a Mac spell e + accent where others have one letter; both look the same."""
    with pytest.raises(InputError, match="stands for two of them"):
        Names(("caf\u00e9", "cafe\u0301", "tea"))
