"""What the published data sets share: splits that are filled and disjoint, and files with a label and a context."""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

from src.data.image_files import reader
from src.data.prepared_data import ImageSource
from src.runtime.errors import InputError


def require_disjoint(source: str, splits: Mapping[str, Sequence[str]]) -> None:
    """splits: ids by split. Raises InputError, naming `source` and an image, if a split is empty or repeats an id, or
    if two splits share one."""
    for name, ids in splits.items():
        if not ids:
            raise InputError(f"{source} leaves the {name} split empty; complete the data")
        if len(set(ids)) < len(ids):
            twice = next(first for first, second in pairwise(sorted(ids)) if first == second)
            raise InputError(f"{source} has {twice} twice in the {name} split; take one out")
    for first, second in combinations(splits, 2):
        if shared := set(splits[first]) & set(splits[second]):
            raise InputError(
                f"{source} has {min(shared)} in both the {first} and the {second} split ({len(shared)} such images); "
                "what is trained on must not be judged by: take it out of one"
            )


def grouped_source(root: Path, images: Sequence[tuple[str, int, int]]) -> ImageSource:
    """A split of image files below `root`: (path, label, context) each, in that order."""
    paths = tuple(path for path, _, _ in images)
    labels, contexts = (np.array([image[k] for image in images], np.int64) for k in (1, 2))
    return ImageSource(paths, labels, reader(root, paths), contexts)
