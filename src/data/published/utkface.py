"""UTKFace (Zhang et al., Age Progression/Regression by CAAE, CVPR 2017) as a fairness benchmark: predict one attribute
of a face without depending on another, in the manner of Jung et al., Fair Feature Distillation (CVPR 2021).

All labels stand in the file's name, `[age]_[gender]_[race]_[timestamp].jpg.chip.jpg`. Three of the 23,708 names lack
the race, which shifts the timestamp into its place: a name without four fields in their ranges is left out and listed.
"""

import re

from src.data.image_files import below
from src.data.locations import missing_data, raw_folder
from src.data.prepared_data import PreparedData
from src.data.published.file_splits import grouped_source, require_disjoint
from src.data.splits import split_fractions
from src.runtime.choices import choose
from src.settings.dataset_settings import UtkFaceSettings

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


def load_utkface(settings: UtkFaceSettings, seed: int) -> PreparedData:
    """UTKFace: label = target, context = sensitive attribute, each of age, gender and race; stratified by both.

    Images lie in UTKFace/ or directly in the data set's folder.
    """
    pair, dropped = (settings.target, settings.sensitive), set(settings.drop_races or ())
    for attribute in pair:
        choose("attribute of UTKFace", VALUES, attribute)
    root = raw_folder(settings)
    folder = below(root, FOLDER)
    folder = folder if folder.is_dir() else root
    faces = {path.name: attributes(path.name) for path in sorted(folder.glob("*")) if path.suffix.lower() == ".jpg"}
    if not faces:
        raise missing_data(root, [f"{FOLDER}/*.jpg"], settings)
    kept = {name: face for name, face in faces.items() if face is not None and face["race"] not in dropped}
    labels, contexts = (_remaining(attribute, dropped) for attribute in pair)
    source = grouped_source(
        folder, [(name, labels.index(face[pair[0]]), contexts.index(face[pair[1]])) for name, face in kept.items()]
    )
    assert source.contexts is not None
    groups = [(str(label), str(context)) for label, context in zip(source.labels, source.contexts, strict=True)]
    parts = split_fractions(groups, settings.val_fraction, settings.test_fraction, seed)
    splits = {name: source.subset(part) for name, part in parts.items()}
    require_disjoint(str(folder), {name: split.ids for name, split in splits.items()})
    class_names, context_names = (
        tuple(VALUES[attribute][k] for k in left) for attribute, left in zip(pair, (labels, contexts), strict=True)
    )
    skipped = tuple(name for name, face in faces.items() if face is None)
    return PreparedData({**splits, "pool": splits["train"]}, class_names, context_names, skipped)


def _remaining(attribute: str, dropped_races: set[int]) -> list[int]:
    values = range(len(VALUES[attribute]))
    return [value for value in values if attribute != "race" or value not in dropped_races]
