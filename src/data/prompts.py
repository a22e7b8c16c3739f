"""The words for a class: a plain prompt, and SYNAuG's with a modifier (Ye-Bin et al., arXiv 2308.00994)."""

import string
from pathlib import Path

import numpy as np
import yaml

from src.errors import InputError
from src.files import read_bytes


class Prompts:
    """The prompts of a data set. The YAML file holds `template`, `modified`, and `classes` by label,
    each with its list of modifiers; the attribute `classes` is the tuple of names.
    """

    def __init__(self, path: Path | str) -> None:
        """Raises InputError if the file is missing or cannot serve."""
        try:
            content = yaml.safe_load(read_bytes(path))
        except yaml.YAMLError:
            raise InputError(f"{path} is not valid YAML; correct it") from None
        if not isinstance(content, dict) or not isinstance(content.get("classes"), dict):
            raise InputError(f"{path} needs `template`, `modified` and `classes` (a name, then its modifiers)")
        for field, words in (("template", {"class"}), ("modified", {"class", "modifier"})):
            if _fields(content.get(field)) != words:
                raise InputError(f"{path} needs `{field}` with exactly {{{'}, {'.join(sorted(words))}}} in it")
        for name, modifiers in content["classes"].items():
            if not isinstance(name, str):
                raise InputError(f"{path} has the class {name!r}, which YAML does not read as text; quote it")
            if not (isinstance(modifiers, list) and modifiers and all(isinstance(m, str) for m in modifiers)):
                raise InputError(f"{path} needs a list of modifiers, as text, for class '{name}'")
        self.classes: tuple[str, ...] = tuple(content["classes"])
        self._modifiers: list[list[str]] = list(content["classes"].values())
        self._template, self._modified = content["template"], content["modified"]

    def __len__(self) -> int:
        return len(self.classes)

    def plain(self, label: int) -> str:
        """Return the prompt of a class, such as "a photo of a zero"."""
        return self._template.format(**{"class": self.classes[label]})

    def modified(self, label: int, generator: np.random.Generator) -> str:
        """Return the prompt with one of the class's modifiers, drawn uniformly."""
        words = self._modifiers[label]
        word = words[int(generator.integers(len(words)))]
        return self._modified.format(**{"class": self.classes[label], "modifier": word})


def _fields(template: object) -> set[str | None]:
    try:
        return {field for _, field, _, _ in string.Formatter().parse(str(template)) if field is not None}
    except ValueError:
        return set()
