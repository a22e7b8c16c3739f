"""Prompts name the class; bad prompt files are refused in one sentence."""

from pathlib import Path

import pytest

from src.data.prompts import Prompts
from src.errors import InputError
from src.seeds import numpy_generator

DIGITS = Path(__file__).parents[2] / "prompts" / "digits.yaml"
GOOD = """
template: a photo of a {class}
modified: a photo of a {modifier} {class}
classes:
  cat: [striped, small]
  dog: [large]
"""


def write(path: Path, text: str) -> Path:
    (path / "p.yaml").write_text(text)
    return path / "p.yaml"


def test_the_digits_are_named_in_order_of_their_labels():
    prompts = Prompts(DIGITS)
    assert " ".join(prompts.classes) == "zero one two three four five six seven eight nine"
    assert prompts.plain(7) == "a photo of a seven"


def test_every_modifier_of_the_class_is_drawn_and_no_other(tmp_path):
    prompts = Prompts(write(tmp_path, GOOD))
    drawn = {prompts.modified(0, numpy_generator(seed)) for seed in range(20)}
    assert drawn == {"a photo of a striped cat", "a photo of a small cat"}
    assert prompts.modified(1, numpy_generator(0)) == "a photo of a large dog"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("template: a photo of a {class}", "template: a photo", "needs `template` with exactly {class}"),
        ("{modifier}", "{style}", "needs `modified` with exactly {class}, {modifier}"),
        ("{modifier}", "{modifier", "needs `modified` with exactly"),
        ("cat:", "on:", "class True, which YAML does not read as text; quote it"),
        ("[large]", "[]", "list of modifiers, as text, for class 'dog'"),
        ("[large]", "large", "list of modifiers, as text, for class 'dog'"),
        ("classes:", "names:", "needs `template`, `modified` and `classes`"),
        ("[large]", "[large", "not valid YAML"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, old, new, problem):
    with pytest.raises(InputError, match=problem):
        Prompts(write(tmp_path, GOOD.replace(old, new)))
    with pytest.raises(InputError, match="is missing"):
        Prompts(tmp_path / "absent.yaml")
