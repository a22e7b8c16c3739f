"""Prompts name the class; bad prompt files are refused in one sentence."""

from pathlib import Path

import pytest

from src.data.digit_contexts import CONTEXTS
from src.generators.tiny.glyphs import WORDS
from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator
from src.synthesis.prompts import Prompts

FOLDER = Path(__file__).parents[2] / "prompts"
DIGITS = FOLDER / "digits.yaml"
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
        ("[large]", "[1, 2]", "list of modifiers, as text, for class 'dog'"),
        ("cat: [striped, small]\n  dog: [large]", "[cat, dog]", r"`classes` \(a name, then its modifiers\)"),
        ("classes:", "names:", "needs `template`, `modified` and `classes`"),
        (GOOD, "", "needs `template`, `modified` and `classes`"),
        (GOOD, "- a photo", "needs `template`, `modified` and `classes`"),
        ("classes:\n  cat: [striped, small]\n  dog: [large]", "modifiers: []", "as text, for class 'any'"),
        ("[large]", "[large", "not valid YAML"),
        ("{modifier} {class}", "{modifier} {class!r}", "needs `modified` with exactly"),
        ("template: a photo of a {class}", "template: a photo of a {class:{class}}", "needs `template` with exactly"),
        *(
            ("a {class}", f"a {field}", "needs `template` with exactly")  # it reaches nothing but the words
            for field in ("{class.__class__}", "{class[0]}", "{class:>9999999999}", "{0}", "{}", "{class} {x}")
        ),
        ("classes:", "modifiers: [small]\nclasses:", "or, instead of `classes`, `modifiers`"),
        ("classes:", "words: {cat: 1}\nclasses:", "needs `words` to give words, as text"),
        ("classes:", "contexts: [grass]\nclasses:", "needs `contexts` to give words, as text"),
        (
            "classes:",
            "template_context: a {class}\nclasses:",
            "needs `template_context` with exactly {class}, {context}",
        ),
        ("classes:", "modified_context: a {class}\nclasses:", "needs `modified_context` with exactly"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, old, new, problem):
    with pytest.raises(InputError, match=problem):
        Prompts(write(tmp_path, GOOD.replace(old, new)))
    with pytest.raises(InputError, match="is missing"):
        Prompts(tmp_path / "absent.yaml")


GENERAL = """
template: a photo of a {class}
modified: a photo of a {modifier} {class}
template_context: a photo of a {class} {context}
modified_context: a photo of a {modifier} {class} {context}
modifiers: [small, large]
words: {n01440764: tench, not there: nowhere}
contexts: {grass: on grass}
"""


def test_classes_from_the_data_share_the_modifiers_and_may_be_said_in_other_words(tmp_path):
    prompts = Prompts(write(tmp_path, GENERAL), ["n01440764", "dog"], ["grass", "in water"])
    assert prompts.classes == ("n01440764", "dog") and len(prompts) == 2
    assert [prompts.plain(k) for k in range(2)] == ["a photo of a tench", "a photo of a dog"]
    drawn = {prompts.modified(0, numpy_generator(seed)) for seed in range(20)}
    assert drawn == {"a photo of a small tench", "a photo of a large tench"}


def test_a_group_is_named_by_class_and_context(tmp_path):
    prompts = Prompts(write(tmp_path, GENERAL), ["n01440764", "dog"], ["grass", "in water"])
    assert prompts.plain(0, 0) == "a photo of a tench on grass"
    assert prompts.plain(1, 1) == "a photo of a dog in water"
    seeds = range(20)
    drawn = {prompts.modified(1, numpy_generator(seed), 0) for seed in seeds}
    assert drawn == {"a photo of a small dog on grass", "a photo of a large dog on grass"}
    for seed in seeds:  # naming the context leaves the modifier as it is
        assert prompts.modified(1, numpy_generator(seed), 0) == f"{prompts.modified(1, numpy_generator(seed))} on grass"


def test_names_with_braces_are_words_and_nothing_else(tmp_path):
    prompts = Prompts(write(tmp_path, GENERAL), ["{class}", "{0.__class__}; rm -r $HOME"], ["{modifier}"])
    assert prompts.plain(0, 0) == "a photo of a {class} {modifier}"
    assert prompts.plain(1) == "a photo of a {0.__class__}; rm -r $HOME"


def test_a_file_that_names_classes_must_agree_with_the_data(tmp_path):
    path = write(tmp_path, GOOD)
    assert Prompts(path, ["cat", "dog"]).plain(1) == Prompts(path).plain(1)
    for classes, problem in [
        (["dog", "cat"], "calls class 0 'cat', the data 'dog'"),
        (["cat"], "calls class 1 'dog', the data None"),
        (["cat", "dog", "eel"], "calls class 2 None, the data 'eel'"),
    ]:
        with pytest.raises(InputError, match=problem):
            Prompts(path, classes)


def test_what_a_file_lacks_is_asked_for_when_it_is_needed(tmp_path):
    with pytest.raises(InputError, match=r"needs `template_context` to name a context; .* budget's name_context=false"):
        Prompts(write(tmp_path, GOOD), ["cat", "dog"], ["grass"]).plain(0, 0)
    with pytest.raises(InputError, match="does not name the classes; run `dvc repro prepare_lt`"):
        Prompts(write(tmp_path, GENERAL))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_file_serves_its_data(path):
    prompts = Prompts(path) if path == DIGITS else Prompts(path, ["one", "{two}"], ["here", "there"])
    for k in range(2):
        assert prompts.plain(k).endswith(prompts.classes[k])
        assert prompts.classes[k] in prompts.modified(k, numpy_generator(0)) != prompts.plain(k)


@pytest.mark.parametrize("name", ["digits_nico", "digits_waterbirds", "digits_fair"])
def test_the_group_benchmarks_say_contexts_in_words_of_the_generator(name):
    prompts = Prompts(FOLDER / f"{name}.yaml", ["three", "eight"], list(CONTEXTS))
    for context in range(len(CONTEXTS)):
        for prompt in (prompts.plain(0, context), prompts.modified(0, numpy_generator(0), context)):
            said = prompt.removeprefix("a photo of a ").removesuffix(" three").split()
            assert set(said) <= set(WORDS) and said == sorted(said, key=WORDS.index)
    assert len({prompts.plain(0, context) for context in range(len(CONTEXTS))}) == len(CONTEXTS)


def test_the_published_groups_are_said_in_words():
    nico = Prompts(FOLDER / "nico.yaml", ["dog"], ["autumn", "dim", "grass", "outdoor", "rock", "water"])
    assert [nico.plain(0, a) for a in (1, 2)] == ["a photo of a dog in dim light", "a photo of a dog on grass"]
    for path in (FOLDER / "waterbirds.yaml", FOLDER / "waterbirds_erm.yaml"):
        birds = Prompts(path, ["landbird", "waterbird"], ["land", "water"])
        assert birds.plain(1, 0) == "a photo of a water bird on land"
    faces = Prompts(FOLDER / "utkface.yaml", ["under 20"], ["White", "Black"])
    assert faces.plain(0, 1) == "a portrait photo of a person under 20 years old, who is Black"
