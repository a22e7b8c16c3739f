"""The words for a class: a plain prompt, and SYNAuG's with a modifier (Ye-Bin et al., arXiv 2308.00994).

Either can name the context too, so that it asks for a group ("a photo of a {class} on {context}").
"""

import copy
import string
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from src.runtime.errors import InputError
from src.runtime.files import read_yaml

TEMPLATES = {
    "template": {"class"},
    "modified": {"class", "modifier"},
    "template_context": {"class", "context"},
    "modified_context": {"class", "context", "modifier"},
}


class Prompts:
    """The prompts of a data set; its attributes `classes` and `words` are what data and prompts call each class.

    The YAML file holds `template` and `modified`, and where the context may be named `template_context` and
    `modified_context`; `classes` by label, each with its list of modifiers, or `modifiers`, one list for all classes of
    the data. `words` (of a class) and `contexts` (of a context) say a name in other words; either may hold names that
    the data lacks, so that one file serves all settings of a data set.
    """

    def __init__(
        self, path: Path | str, classes: Sequence[str] | None = None, contexts: Sequence[str] | None = None
    ) -> None:
        """classes, contexts: the data's names, by label and by number; without classes the file must name them.

        Raises InputError if the file is missing, cannot serve, or names other classes than the data.
        """
        self._path, content = path, _read(path)
        self.classes, self._modifiers = _modifiers(path, content, None if classes is None else tuple(classes))
        self.contexts = None if contexts is None else tuple(contexts)
        words, context_words = (_words(path, content, field) for field in ("words", "contexts"))
        self.words = tuple(words.get(name, name) for name in self.classes)
        self._contexts = [context_words.get(name, name) for name in self.contexts or ()]
        self._templates: dict[str, str] = {name: content[name] for name in TEMPLATES if name in content}

    def __len__(self) -> int:
        return len(self.classes)

    def saying(self, words: Sequence[str]) -> "Prompts":
        """The same prompts with other words for the classes, one for each."""
        other = copy.copy(self)
        other.words = tuple(words)
        return other

    def plain(self, label: int, context: int | None = None) -> str:
        """Return the prompt of a class, such as "a photo of a zero", or of a group, if a context is given."""
        return self._say("template", label, context)

    def modified(self, label: int, generator: np.random.Generator, context: int | None = None) -> str:
        """Return the prompt with one of the class's modifiers, drawn uniformly."""
        words = self._modifiers[label]
        return self._say("modified", label, context, modifier=words[int(generator.integers(len(words)))])

    def _say(self, template: str, label: int, context: int | None, **words: str) -> str:
        if context is not None:
            template, words = f"{template}_context", {**words, "context": self._contexts[context]}
        if template not in self._templates:
            raise InputError(
                f"{self._path} needs `{template}` to name a context; add it, or set the budget's name_context=false"
            )
        return self._templates[template].format(**{"class": self.words[label]}, **words)


def _read(path: Path | str) -> dict[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict) or isinstance(content.get("classes"), dict) == ("modifiers" in content):
        raise InputError(
            f"{path} needs `template`, `modified` and `classes` (a name, then its modifiers) or, "
            "instead of `classes`, `modifiers` for all classes of the data"
        )
    for field, words in TEMPLATES.items():
        if _fields(content.get(field)) != words and (field in content or not field.endswith("_context")):
            raise InputError(f"{path} needs `{field}` with exactly {{{'}, {'.join(sorted(words))}}} in it")
    return content


def _modifiers(
    path: Path | str, content: dict[str, Any], classes: tuple[str, ...] | None
) -> tuple[tuple[str, ...], list[list[str]]]:
    """The names of the classes, and the modifiers of each."""
    given = content["classes"] if "modifiers" not in content else {"": content["modifiers"]}
    for name, modifiers in given.items():
        if not isinstance(name, str):
            raise InputError(f"{path} has the class {name!r}, which YAML does not read as text; quote it")
        if not (isinstance(modifiers, list) and modifiers and all(isinstance(m, str) for m in modifiers)):
            raise InputError(f"{path} needs a list of modifiers, as text, for class '{name or 'any'}'")
    if "modifiers" in content:
        if classes is None:
            raise InputError(f"{path} does not name the classes; run `dvc repro prepare_lt`, which does")
        return classes, [content["modifiers"]] * len(classes)
    if classes is not None and classes != tuple(given):
        pairs = enumerate(zip_longest(given, classes))
        k, (ours, theirs) = next((k, pair) for k, pair in pairs if pair[0] != pair[1])
        raise InputError(
            f"{path} calls class {k} {ours!r}, the data {theirs!r}; make the file's `classes` agree, in order, "
            "or give `modifiers` in their place"
        )
    return tuple(given), list(given.values())


def _words(path: Path | str, content: dict[str, Any], field: str) -> dict[str, str]:
    words = content.get(field, {})
    if not isinstance(words, dict) or not all(isinstance(w, str) for pair in words.items() for w in pair):
        raise InputError(f"{path} needs `{field}` to give words, as text, for names, as text; quote them")
    return words


def _fields(template: object) -> set[str | None]:
    """The names in braces; empty for no text, and if one is asked for in a special form, such as {class!r}."""
    if not isinstance(template, str):
        return set()
    try:
        parts = [part for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError:
        return set()
    return set() if any(spec or conversion for _, _, spec, conversion in parts) else {name for _, name, _, _ in parts}
