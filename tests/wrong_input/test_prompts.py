"""Prompt files that do not fit the data or cannot be filled in: one sentence that says how they must be."""

from collections.abc import Callable

import pytest

from tests.wrong_input.running import edit, stopped

pytestmark = pytest.mark.slow
PATH = "prompts/digits.yaml"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
HEAD = 'template: "a photo of a {class}"\nmodified: "a {modifier} photo of a {class}"\n'
SHARED = HEAD + "modifiers: [small]\n"


def named(*names: str, head: str = HEAD, modifiers: str = "[small]") -> str:
    return head + "classes:\n" + "".join(f"  {name}: {modifiers}\n" for name in names)


FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "prompts/digits.yaml needs `template`, `modified` and `classes`"),
    "broken": ("template: [", "prompts/digits.yaml is not valid YAML near line"),
    "a list": ("- a photo", "prompts/digits.yaml needs `template`, `modified` and `classes`"),
    "a name twice": (SHARED + "modifiers: [big]\n", "prompts/digits.yaml gives 'modifiers' twice near line 4"),
    "Windows-1252": (SHARED.replace("small", "gr\u00f6\u00dfer").encode("cp1252"), "not UTF-8 text; save it as UTF-8"),
    "a tag": (SHARED + "words: !!python/object:os {}\n", "prompts/digits.yaml is not valid YAML near line 4"),
    "no template": (SHARED.replace("template:", "templates:"), "needs `template` with exactly {class} in it"),
    "no class in the template": (SHARED.replace("of a {class}", "of it", 1), "needs `template` with exactly {class}"),
    "a name that is none": (SHARED.replace("{modifier}", "{size}"), "needs `modified` with exactly {class}"),
    "a brace left open": (SHARED.replace("{class}", "{class", 1), "needs `template` with exactly {class} in it"),
    "a template in a list": (SHARED.replace('"a photo of a {class}"', '["a {class}"]'), "needs `template` with"),
    "an attribute": (SHARED.replace("{class}", "{class.__init__}", 1), "needs `template` with exactly {class} in it"),
    "a width": (SHARED.replace("{class}", "{class:>999999999}", 1), "needs `template` with exactly {class} in it"),
    "no modifiers": (HEAD + "modifiers: []\n", "needs a list of modifiers, as text, for class 'any'"),
    "one word for a list": (HEAD + "modifiers: small\n", "needs a list of modifiers, as text, for class 'any'"),
    "numbers for words": (HEAD + "modifiers: [1, 2]\n", "needs a list of modifiers, as text, for class 'any'"),
    "both forms": (SHARED + "classes: {zero: [a]}\n", "instead of `classes`, `modifiers` for all classes of the data"),
    "classes in a list": (HEAD + "classes: [zero, one]\n", "`classes` (a name, then its modifiers)"),
    "a class without words": (named(*NAMES, modifiers=""), "needs a list of modifiers, as text, for class 'zero'"),
    "a class missing": (named(*NAMES[:9]), "calls class 9 None, the data 'nine'; make the file's `classes` agree"),
    "another order": (named("one", "zero", *NAMES[2:]), "calls class 0 'one', the data 'zero'; make the file's"),
    "a class called no": (named("no", *NAMES[1:]), "has the class False, which YAML does not read as text; quote it"),
    "a class called 1.0": (named("1.0", *NAMES[1:]), "has the class 1.0, which YAML does not read as text; quote it"),
    "other words in a list": (SHARED + "words: [naught]\n", "needs `words` to give words, as text, for names, as text"),
    "other words as numbers": (SHARED + "words: {zero: 0}\n", "needs `words` to give words, as text, for names"),
}  # fmt: skip


@pytest.mark.parametrize("file", FILES)
def test_a_prompt_file_that_cannot_serve_is_one_sentence_and_touches_nothing(file, workspace, capsys, monkeypatch):
    content, sentence = FILES[file]
    replace: Callable[[bytes], bytes] = lambda data: content if isinstance(content, bytes) else content.encode()  # noqa: E731
    edit(PATH, replace)
    assert sentence in stopped("synth_synaug", capsys, monkeypatch)
