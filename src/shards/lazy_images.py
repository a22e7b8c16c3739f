"""Images by position, in memory where they fit and decoded on demand where they do not.

Everything that trains or measures indexes images with [int | slice | int array] and gets uint8 arrays, so that it
need not know which of the two it was given.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from src.runtime.errors import InputError
from src.shards.pixels import centre_square

LIMIT_BYTES = 2 * 2**30
TOGETHER = 16  # images that one thread decodes before it takes the next ones
SMALL = 64 * 64  # pixels; images below are decoded faster by one thread, because several wait for the interpreter


class Images(Protocol):
    """N images of one size: a numpy array uint8 (N, H, W, 3), or what reads like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, 3)."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> np.ndarray: ...


class ShardImages:
    """The images of a shard folder, each decoded, and verified, whenever it is asked for.

    Of images that are stored with a long side everybody sees the central square; random crops may ask for `whole`.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, shards: Any) -> None:
        """shards: with `folder`, a length and `image(i)`. Reads the first image for the size of all."""
        self._shards, edge = shards, min(shards.image(0).shape[:2])
        self.shape: tuple[int, ...] = (len(shards), edge, edge, 3)
        self.oblong = False  # whether any image that was read so far is

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """uint8 (H, W, 3) for an int, (n, H, W, 3) for a slice or array; InputError for an image of another size."""
        chosen = np.arange(len(self))[key]
        if chosen.ndim == 0:
            return self._image(int(chosen))
        images = np.empty((len(chosen), *self.shape[1:]), np.uint8)

        def decode(first: int) -> None:
            for place in range(first, min(first + TOGETHER, len(chosen))):
                images[place] = self._image(int(chosen[place]))

        starts = range(0, len(chosen), TOGETHER)
        small = self.shape[1] * self.shape[2] < SMALL
        workers = 1 if small else min(len(starts), os.cpu_count() or 1)
        if workers < 2:
            for first in starts:
                decode(first)
            return images
        # A pool per call costs less than one image and, unlike a kept one, survives a fork.
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(decode, starts))
        return images

    def _image(self, i: int) -> np.ndarray:
        return centre_square(self._whole(i), self.shape[1])

    def _whole(self, i: int) -> np.ndarray:
        image = self._shards.image(i)
        if min(image.shape[:2]) != self.shape[1]:
            raise InputError(
                f"{self._shards.folder} mixes images of {self.shape[1:]} and {image.shape}; resize them first"
            )
        self.oblong |= image.shape != self.shape[1:]
        return image

    def whole(self, chosen: np.ndarray) -> list[np.ndarray]:
        """The images at these positions with all of their long sides, each uint8 (h, w, 3)."""
        with ThreadPoolExecutor(min(len(chosen), os.cpu_count() or 1) or 1) as pool:
            return list(pool.map(self._whole, chosen.tolist()))


class Chosen:
    """Images from several sets in one order, without copies: entry i is image position[i] of parts[which[i]]."""

    dtype = np.dtype(np.uint8)

    def __init__(self, parts: Sequence[Images], which: np.ndarray, position: np.ndarray) -> None:
        """which, position: integers (N,). Raises InputError if the parts differ in image size."""
        self._parts, self._which, self._position = parts, np.asarray(which, int), np.asarray(position, int)
        self.shape: tuple[int, ...] = (len(self._which), *parts[0].shape[1:])
        if other := {part.shape[1:] for part in parts} - {self.shape[1:]}:
            raise InputError(f"images of {self.shape[1:]} and {other.pop()} cannot be merged; resize them first")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """uint8 (H, W, 3) for an int, (n, H, W, 3) for a slice or array."""
        which, position = self._which[key], self._position[key]
        if which.ndim == 0:
            return self._parts[which][int(position)]
        images = np.empty((len(which), *self.shape[1:]), np.uint8)
        for number, part in enumerate(self._parts):
            members = np.flatnonzero(which == number)
            if len(members):
                images[members] = part[position[members]]
        return images

    @property
    def oblong(self) -> bool:
        return any(getattr(part, "oblong", False) for part in self._parts)

    def whole(self, chosen: np.ndarray) -> list[np.ndarray]:
        """As that of `ShardImages`."""
        which, position = self._which[chosen], self._position[chosen]
        images: dict[int, np.ndarray] = {}
        for number, part in enumerate(self._parts):
            members = np.flatnonzero(which == number)
            if len(members):
                images.update(zip(members.tolist(), whole(part, position[members]), strict=True))
        return [images[k] for k in range(len(chosen))]


def whole(images: Images, chosen: np.ndarray) -> list[np.ndarray]:
    """The images at these positions, uint8 (h, w, 3), with all that is stored of them."""
    read = getattr(images, "whole", None)
    return list(images[chosen]) if read is None else read(chosen)


def subset(images: Images, key: slice | np.ndarray) -> Images:
    """The images that the key chooses: of an array what it gives for the key, of others a view that decodes nothing."""
    if isinstance(images, np.ndarray):
        return images[key]
    position = np.arange(len(images))[key]
    return Chosen([images], np.zeros(len(position), int), position)


def in_memory(images: Images, limit_bytes: int = LIMIT_BYTES) -> Images:
    """All of them as one array if that takes at most `limit_bytes` and loses no long side, otherwise as they are."""
    if isinstance(images, np.ndarray) or np.prod(images.shape) > limit_bytes:
        return images
    array = images[:]
    return images if getattr(images, "oblong", False) else array
