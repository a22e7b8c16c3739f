"""Copies of training images among those that judge, in data sets whose published splits stay as they are."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from src.data.duplicates import originals, sketch
from src.runtime.errors import listed
from src.shards.lazy_images import Images

LARGE = 50_000  # images; of more than these only those of the same pixels are told


def leaks(splits: Mapping[str, tuple[Images, Sequence[str]]]) -> Iterator[str]:
    """A sentence for each split that holds copies of images of one before it. splits: images and ids, in that order.

    The published splits are kept, so that results can stand beside others': what leaks flatters every arm alike.
    """
    ids = [f"'{i}'" for _, names in splits.values() for i in names]
    every = (images[i] for images, names in splits.values() for i in range(len(names)))
    first = _same_pixels(every) if len(ids) > LARGE else originals(list(map(sketch, every)))
    begin = 0
    for name, (_, names) in splits.items():
        here = np.arange(begin, begin + len(names))
        copies = here[first[here] < begin]
        if len(copies):
            pairs = listed([f"{ids[i]} of {ids[first[i]]}" for i in copies])
            yield f"{len(copies)} images of the {name} split are copies of images of another one ({pairs}); they stay"
        begin += len(names)


def _same_pixels(images: Iterable[np.ndarray]) -> np.ndarray:
    digests = [hashlib.blake2b(image.tobytes()).digest() for image in images]
    _, first, kind = np.unique(np.array(digests), return_index=True, return_inverse=True)
    return first[kind]
