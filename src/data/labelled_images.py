"""Images with what is known of them: class, and group where the data has contexts."""

from dataclasses import dataclass

import numpy as np

from src.data.names import Names
from src.runtime.errors import InputError
from src.shards.lazy_images import Images
from src.shards.store import Shards


@dataclass(frozen=True)
class LabelledImages:
    """images: uint8 (N, H, W, 3). labels: (N,). groups: (N,) numbers label * contexts + context, None without any."""

    images: Images
    labels: np.ndarray
    groups: np.ndarray | None = None

    def keys(self, balance: str) -> np.ndarray:
        """What is to be uniform: groups where the balance is by "group" and there are any, else labels."""
        return self.groups if balance == "group" and self.groups is not None else self.labels

    def counts(self, names: Names) -> tuple[list[int], list[int] | None]:
        """Images per class, and per group where there are contexts."""
        return _counts(self.labels, self.groups, names)


def labelled(shards: Shards, names: Names) -> LabelledImages:
    """The images of a shard folder with labels and groups."""
    return LabelledImages(shards.images(), shards.labels, group_ids(shards.labels, shards.contexts, names))


def image_counts(shards: Shards, names: Names) -> tuple[list[int], list[int] | None]:
    """Images of a shard folder per class, and per group where there are contexts; none is read."""
    return _counts(shards.labels, group_ids(shards.labels, shards.contexts, names), names)


def _counts(labels: np.ndarray, groups: np.ndarray | None, names: Names) -> tuple[list[int], list[int] | None]:
    classes, contexts = len(names.classes), len(names.contexts or ())
    per_class = np.bincount(labels, minlength=classes).tolist()
    if groups is None:
        return per_class, None
    return per_class, np.bincount(groups, minlength=classes * contexts).tolist()


def group_ids(labels: np.ndarray, contexts: np.ndarray | None, names: Names) -> np.ndarray | None:
    """Group numbers (N,) of labels (N,) and contexts (N,); None for data without contexts.

    Raises InputError if the data has contexts and these images lack them, or for a label or context without a name.
    """
    for kind, numbers, known in (("label", labels, names.classes), ("context", contexts, names.contexts)):
        if numbers is not None and known is not None and len(numbers) and numbers.max() >= len(known):
            raise InputError(
                f"there are images of {kind} {numbers.max()}, but names.json has {len(known)} names for them; "
                "run `dvc repro` to prepare the data again"
            )
    if names.contexts is None:
        return None
    if contexts is None:
        raise InputError("synthetic images lack a context; set the budget's balance=group, or condition on images")
    return labels * len(names.contexts) + contexts
