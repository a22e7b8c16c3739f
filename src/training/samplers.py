"""Which images make up a batch: functions of the step number, so that training resumes at any step.

A sampler maps a step to an int64 array of indices; the same seed and step give the same batch everywhere.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from src.errors import InputError
from src.seeds import numpy_generator

Sampler = Callable[[int], np.ndarray]


def instance_uniform(labels: np.ndarray, batch: int, seed: int) -> Sampler:
    """Every image equally often: epochs of random order, the end of one followed by the start of the next.

    labels: (N,). InputError if it is empty.
    """
    count = len(labels)
    if count == 0:
        raise InputError("there are no training images to sample from")

    @lru_cache(maxsize=1)
    def order(epoch: int) -> np.ndarray:
        return numpy_generator("epoch", seed, epoch).permutation(count)

    def sample(step: int) -> np.ndarray:
        epochs, places = np.divmod(np.arange(step * batch, (step + 1) * batch), count)
        return np.concatenate([order(int(epoch))[places[epochs == epoch]] for epoch in np.unique(epochs)])

    return sample


def class_uniform(labels: np.ndarray, batch: int, seed: int) -> Sampler:
    """Every class equally often (Kang et al., ICLR 2020, "class-balanced sampling").

    Within a batch the class counts differ by at most one; an image is drawn uniformly from its class.
    Classes without images are passed over. labels: (N,). InputError if it is empty.
    """
    draw = _class_uniform_draw(labels)
    return lambda step: draw(batch, numpy_generator("class_uniform", seed, step))


def half_and_half(
    real_labels: np.ndarray, synthetic_labels: np.ndarray, batch: int, fraction_real: float, seed: int
) -> Sampler:
    """Balanced mini-batches of real and synthetic images (Askari-Hemmat et al., TMLR 2024).

    Each batch holds `round(fraction_real * batch)` real images, first, and classes are uniform within both
    parts. Indices run over real followed by synthetic. real_labels: (N,), synthetic_labels: (M,),
    fraction_real: in [0, 1]. InputError for a fraction outside, or a part that is needed but empty.
    """
    if not 0 <= fraction_real <= 1:
        raise InputError(f"the fraction of real images in a batch lies in [0, 1], not {fraction_real}")
    real = round(fraction_real * batch)
    parts = [(real_labels, real, 0), (synthetic_labels, batch - real, len(real_labels))]
    draws = [(_class_uniform_draw(labels), size, first) for labels, size, first in parts if size]

    def sample(step: int) -> np.ndarray:
        generator = numpy_generator("half_and_half", seed, step)
        return np.concatenate([draw(size, generator) + first for draw, size, first in draws])

    return sample


def uniform_subsample(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return sorted indices of as many images of every class as the smallest class has, without repetition.

    labels: (N,). Classes without images are passed over. InputError if labels is empty.
    """
    members = _members(labels)
    smallest = min(len(indices) for indices in members)
    generator = numpy_generator("uniform_subsample", seed)
    return np.sort(np.concatenate([generator.choice(m, smallest, replace=False) for m in members]))


def _class_uniform_draw(labels: np.ndarray) -> Callable[[int, np.random.Generator], np.ndarray]:
    members = _members(labels)
    sizes = np.array([len(indices) for indices in members])
    grouped, first = np.concatenate(members), np.cumsum(sizes) - sizes

    def draw(count: int, generator: np.random.Generator) -> np.ndarray:
        rounds = range(-(-count // len(members)))
        classes = np.concatenate([generator.permutation(len(members)) for _ in rounds])[:count]
        return grouped[first[classes] + generator.integers(sizes[classes])]

    return draw


def _members(labels: np.ndarray) -> list[np.ndarray]:
    if len(labels) == 0:
        raise InputError("there are no training images to sample from")
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]
