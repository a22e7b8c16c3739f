"""The names of classes and contexts beside the shards, so that later stages need not know the data set."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from src.runtime.errors import InputError
from src.runtime.files import read_json, write_json

NAMES = "names.json"
# Line breaks and the like, which tables, pictures and terminals do not survive; what turns the direction of the text
# after it; bytes that were no Unicode; and what ends a script in the page that `dvc plots` makes of a confusion matrix.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]|</|<!--")


@dataclass(frozen=True)
class Names:
    """classes[y] and contexts[a] are texts, each unique; contexts is None for data without groups."""

    classes: tuple[str, ...]
    contexts: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for kind, names in (("class", self.classes), ("context", self.contexts or ())):
            if twice := [name for name, times in Counter(normalize("NFC", n) for n in names).items() if times > 1]:
                raise InputError(f"the {kind} name '{twice[0]}' stands for two of them; give each its own")
            if unsafe := [name for name in names if _UNSAFE.search(name)]:
                raise InputError(f"the {kind} name {unsafe[0]!a} holds control characters, '</' or '<!--'; rename it")


def write_names(folder: Path | str, names: Names) -> None:
    """Write `folder`/names.json."""
    write_json(Path(folder) / NAMES, {"classes": names.classes, "contexts": names.contexts})


def read_names(folder: Path | str) -> Names:
    """What `write_names` wrote; InputError if it is missing or damaged."""
    path = Path(folder) / NAMES
    content = read_json(path)
    classes, contexts = (content.get(key) if isinstance(content, dict) else None for key in ("classes", "contexts"))
    if not (_texts(classes) and classes) or not (contexts is None or (_texts(contexts) and contexts)):
        raise InputError(f"{path} is damaged; run `dvc repro` to prepare the data again")
    return Names(tuple(classes), None if contexts is None else tuple(contexts))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, sorted; names that are all whole numbers are sorted as numbers, so that 2 stands before 10."""
    unique = set(names)
    if all(re.fullmatch(r"-?[0-9]{1,1000}", name) for name in unique):
        return tuple(sorted(unique, key=lambda name: (int(name), name)))
    return tuple(sorted(unique))


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
