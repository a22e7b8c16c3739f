"""The batches of a training: read ahead, augmented and mixed as a whole, cut into parts.

All that is random is drawn for the whole batch from (seed, step), so every process draws the same numbers, and the
image in a place of the batch does not depend on how many processes there are.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.data.labelled_images import LabelledImages
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator
from src.settings.recipe import Recipe
from src.shards.lazy_images import whole
from src.training.augmentation import AUGMENTATIONS, CROPPING, Rows
from src.training.mixing import MIXING, NEEDS_SECOND_BATCH
from src.training.samplers import Sampler


class Part(NamedTuple):
    """x: (b, 3, H, W) in [-1, 1]; targets: (b, C) probabilities; groups: (b,) or None."""

    x: Tensor
    targets: Tensor
    groups: Tensor | None


class Read(NamedTuple):
    """Rows of one step's batch before anything is changed; images: uint8 (b, H, W, 3). sides: (2, b) heights and widths
    of images that are smaller than that, None if none is. second: of the second batch."""

    images: np.ndarray
    indices: np.ndarray
    sides: np.ndarray | None = None
    second: "Read | None" = None


@dataclass(frozen=True)
class Batches:
    """The batches of a training, and which parts of each one process does: rank, rank + processes, ...

    size: pixels that the model sees. sampler: step -> indices into the data. mixing: a name in MIXING and its alpha,
    above 0. mixing_sampler: step -> indices of the second batch, where one is needed. Augmentation is done on this
    process's rows alone; mixing needs the images of the whole batch on every process.
    """

    data: LabelledImages
    classes: int
    size: int
    sampler: Sampler
    recipe: Recipe
    seed: int
    device: torch.device
    mixing: tuple[str, float] = ("none", 1.0)
    mixing_sampler: Sampler | None = None
    rank: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        choose("mixing", MIXING, self.mixing[0])
        if self.mixing[0] in NEEDS_SECOND_BATCH and self.mixing_sampler is None:
            raise InputError(f"mixing {self.mixing[0]} takes a second batch, and this arm has no sampler for it")

    @property
    def rows(self) -> np.ndarray:
        """The places in the batch of this process's parts, in order."""
        places = np.arange(self.recipe.batch).reshape(self.recipe.parts, -1)
        return places[self.rank :: self.processes].flatten()

    def ahead(self, first: int, last: int) -> Iterator[tuple[int, Read]]:
        """Yield the steps first to last - 1, each with its images, while a thread reads those of the next."""
        with ThreadPoolExecutor(1) as pool:
            coming = [pool.submit(self.read, step) for step in range(first, last)[:1]]
            for step in range(first, last):
                read = coming.pop().result()
                coming = [pool.submit(self.read, later) for later in range(step + 1, last)[:1]]
                yield step, read

    def read(self, step: int) -> Read:
        """Return what is needed of the step's batch: all of it for mixing, this process's rows otherwise."""
        indices = self.sampler(step)
        if self.processes > 1 and self.mixing[0] == "none":
            indices = indices[self.rows]
        second = None
        if self.mixing[0] in NEEDS_SECOND_BATCH and self.mixing_sampler is not None:
            others = self.mixing_sampler(step)
            second = Read(*self._images(others))
        return Read(*self._images(indices), second)

    def _images(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """The images, what they are of, and their sides where a random crop is to see images of several."""
        if self.recipe.augment not in CROPPING or isinstance(self.data.images, np.ndarray):
            return self.data.images[indices], indices, None
        images = whole(self.data.images, indices)
        sides = np.array([image.shape[:2] for image in images]).T  # (2, b)
        padded = np.zeros((len(images), *sides.max(1), 3), np.uint8)
        for place, image in zip(padded, images, strict=True):
            place[: image.shape[0], : image.shape[1]] = image
        return padded, indices, sides

    def parts(self, step: int, read: Read) -> list[Part]:
        """Return this process's parts of the step's batch, on the device."""
        generator = numpy_generator("train step", self.seed, step)
        name, alpha = self.mixing
        alone = self.processes == 1 or name == "none"
        rows = Rows(self.recipe.batch, self.rows) if self.processes > 1 and alone else None
        x, targets = self._examples(read, generator, rows)
        more = {}
        if read.second is not None:
            more["second"] = self._examples(read.second, numpy_generator("second batch", self.seed, step), None)
        x, targets = MIXING[name](x, targets, alpha, generator, **more)
        groups = None
        if self.data.groups is not None:
            groups = torch.from_numpy(self.data.groups[read.indices]).long().to(self.device)
        if not alone:
            mine = torch.from_numpy(self.rows).to(self.device)
            x, targets, groups = x[mine], targets[mine], None if groups is None else groups[mine]
        count = self.recipe.parts // self.processes
        cut_groups = [None] * count if groups is None else groups.chunk(count)
        return [Part(*part) for part in zip(x.chunk(count), targets.chunk(count), cut_groups, strict=True)]

    def _examples(self, read: Read, generator: np.random.Generator, rows: Rows | None) -> tuple[Tensor, Tensor]:
        if read.sides is not None:
            rows = (rows or Rows(len(read.images), np.arange(len(read.images))))._replace(sides=read.sides)
        x = AUGMENTATIONS[self.recipe.augment](pixels(read.images, self.device), generator, self.size, rows)
        labels = torch.from_numpy(self.data.labels[read.indices]).long().to(x.device)
        targets = F.one_hot(labels, self.classes).float()  # (b, C)
        smoothing = self.recipe.label_smoothing
        return x, (1 - smoothing) * targets + smoothing / self.classes


def pixels(images: np.ndarray, device: torch.device) -> Tensor:
    """`to_tensor` of uint8 images, made on the device, to which a quarter of the bytes travel."""
    x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float()
    # Divided by a tensor, because a GPU would multiply by the reciprocal of a number and round otherwise.
    return x.div_(torch.tensor(127.5, device=device)).sub_(1)
