"""Images with what is known of them: class, and group where the data has contexts."""

from dataclasses import dataclass

import numpy as np

from src.data.grouping import counts_by_group, group_ids
from src.data.names import Names
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
        return counts_by_group(self.labels, self.groups, names)


def labelled(shards: Shards, names: Names) -> LabelledImages:
    """The images of a shard folder with labels and groups."""
    return LabelledImages(shards.images(), shards.labels, group_ids(shards.labels, shards.contexts, names))


def image_counts(shards: Shards, names: Names) -> tuple[list[int], list[int] | None]:
    """Images of a shard folder per class, and per group where there are contexts; none is read."""
    return counts_by_group(shards.labels, group_ids(shards.labels, shards.contexts, names), names)
