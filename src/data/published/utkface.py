"""UTKFace (Zhang et al., Age Progression/Regression by CAAE, CVPR 2017) as a fairness benchmark: predict one attribute
of a face without depending on another, in the manner of Jung et al., Fair Feature Distillation (CVPR 2021).

All labels stand in the file's name, `[age]_[gender]_[race]_[timestamp].jpg.chip.jpg`. Three of the 23,708 names lack
the race, which shifts the timestamp into its place: a name without four fields in their ranges is left out and listed.
"""

import re
from collections.abc import Mapping
from typing import Any

from src.data.image_files import below
from src.data.locations import missing, raw_folder
from src.data.prepared_data import PreparedData
from src.data.published.file_splits import grouped_source, require_disjoint
from src.data.splits import split_fractions
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.settings.checks import number, whole

FOLDER = "UTKFace"
# One published name has a space before .jpg, another has no dot there.
NAME = re.compile(r"([0-9]{1,3})_([01])_([0-4])_([0-9]+) ?\.?jpg(\.chip\.jpg)?", re.IGNORECASE)
AGE_BORDERS = (20, 40)
VALUES = {
    "age": ("under 20", "20 to 39", "40 or older"),
    "gender": ("male", "female"),
    "race": ("White", "Black", "Asian", "Indian", "other"),
}


def attributes(name: str) -> dict[str, int] | None:
    """The age group (0..2), gender (0..1) and race (0..4) in a file's name; None for a name that lacks one."""
    fields = NAME.fullmatch(name)
    if fields is None:
        return None
    age = sum(int(fields[1]) >= border for border in AGE_BORDERS)
    return {"age": age, "gender": int(fields[2]), "race": int(fields[3])}


def load_utkface(settings: Mapping[str, Any], seed: int) -> PreparedData:
    """UTKFace: label = target, context = sensitive attribute, each of age, gender and race; stratified by both.

    settings: target, sensitive; drop_races, numbers of the races left out; val_fraction and test_fraction of the
    images of each group. Images lie in UTKFace/ or directly in the data set's folder.
    """
    where = f"datasets.{settings['name']}"
    pair = _attributes(settings, where)
    dropped = {whole(f"{where}.drop_races", race, 0, len(VALUES["race"]) - 1) for race in settings["drop_races"] or ()}
    val, test = (number(f"{where}.{name}_fraction", settings[f"{name}_fraction"]) for name in ("val", "test"))
    root = raw_folder(settings)
    folder = below(root, FOLDER)
    folder = folder if folder.is_dir() else root
    told = {path.name: attributes(path.name) for path in sorted(folder.glob("*")) if path.suffix.lower() == ".jpg"}
    if not told:
        raise missing(root, [f"{FOLDER}/*.jpg"], settings)
    kept = {name: each for name, each in told.items() if each is not None and each["race"] not in dropped}
    values = [_remaining(attribute, dropped) for attribute in pair]
    faces = grouped_source(
        folder,
        [(name, values[0].index(each[pair[0]]), values[1].index(each[pair[1]])) for name, each in kept.items()],
    )
    assert faces.contexts is not None
    groups = [(str(label), str(context)) for label, context in zip(faces.labels, faces.contexts, strict=True)]
    splits = {name: faces.subset(part) for name, part in split_fractions(groups, val, test, seed).items()}
    require_disjoint(str(folder), {name: split.ids for name, split in splits.items()})
    classes, contexts = (tuple(VALUES[name][k] for k in left) for name, left in zip(pair, values, strict=True))
    skipped = tuple(name for name, each in told.items() if each is None)
    return PreparedData({**splits, "pool": splits["train"]}, classes, contexts, skipped)


def _attributes(settings: Mapping[str, Any], where: str) -> tuple[str, str]:
    """The target and the sensitive attribute."""
    pair = settings["target"], settings["sensitive"]
    for attribute in pair:
        choose("attribute of UTKFace", VALUES, attribute)
    if pair[0] == pair[1]:
        raise InputError(f"{where}.target and {where}.sensitive are both {pair[0]}; choose two attributes")
    return pair


def _remaining(attribute: str, dropped_races: set[int]) -> list[int]:
    values = range(len(VALUES[attribute]))
    return [value for value in values if attribute != "race" or value not in dropped_races]
