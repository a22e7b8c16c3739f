"""Which images make up a batch: functions of the step number, so that training resumes at any step.

A sampler maps a step to an int64 array of indices; the same seed and step give the same batch everywhere.
Where something is to be equally often, it goes by keys: the images' classes, or their groups.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TypeVar

import numpy as np

from src.data.grouping import indices_by_key
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.runtime.seeds import derive, numpy_generator

Sampler = Callable[[int], np.ndarray]
T = TypeVar("T")


def instance_uniform(labels: np.ndarray, batch: int, seed: int) -> Sampler:
    """Every image equally often: epochs of random order, the end of one followed by the start of the next.

    labels: (N,). InputError if it is empty.
    """
    count = len(_some(labels))

    @lru_cache(maxsize=1)
    def order(epoch: int) -> np.ndarray:
        return numpy_generator("epoch", seed, epoch).permutation(count)

    def sample(step: int) -> np.ndarray:
        epochs, places = np.divmod(np.arange(step * batch, (step + 1) * batch), count)
        return np.concatenate([order(int(epoch))[places[epochs == epoch]] for epoch in np.unique(epochs)])

    return sample


def class_uniform(labels: np.ndarray, batch: int, seed: int, purpose: str = "class_uniform") -> Sampler:
    """Every class equally often (Kang et al., ICLR 2020, "class-balanced sampling").

    Within a batch the class counts differ by at most one; an image is drawn uniformly from its class.
    Classes without images are passed over. labels: (N,). purpose: addresses the draws. InputError if labels is empty.
    """
    images = _ByKey(_some(labels))

    def sample(step: int) -> np.ndarray:
        generator = numpy_generator(purpose, seed, step)
        return images.draw(images.keys[_rounds(len(images.keys), batch, generator)], generator)

    return sample


# Every group equally often: RWG by sampling (Idrissi et al., CLeaR 2022).
group_uniform = partial(class_uniform, purpose="group_uniform")


def subsample_uniform(keys: np.ndarray, batch: int, seed: int) -> Sampler:
    """Every image of a fixed subsample equally often; it has as many of every key as the smallest has.

    With groups as keys SUBG, with classes SUBY (Idrissi et al., CLeaR 2022). keys: (N,); those without images
    are passed over. InputError if it is empty.
    """
    chosen = subsample_indices(keys, derive("subsample", seed))
    sample = instance_uniform(chosen, batch, seed)
    return lambda step: chosen[sample(step)]


def balanced_minibatches(
    real_keys: np.ndarray, synthetic_keys: np.ndarray, batch: int, fraction_real: float, seed: int
) -> Sampler:
    """Balanced mini-batches of real and synthetic images (Askari-Hemmat et al., arXiv 2310.00158).

    Within a batch the counts of keys, which are classes or groups, differ by at most one, over all keys that either
    part has. `round(fraction_real * batch)` of its images are real, shared out equally among the keys that both parts
    have; one that is in one part alone is drawn from there. In random order, so that parts of a batch hold both kinds.
    Indices run over real followed by synthetic. real_keys: (N,), synthetic_keys: (M,), fraction_real: in [0, 1]; at 0
    and 1 the other part's keys do not count. InputError for a part that is needed but empty: no real image is left
    where synthetic ones replace them all.
    """
    real = round(fraction_real * batch)
    if real and len(real_keys) == 0:
        raise InputError(
            f"no real image is left for the retrain.fraction_real={fraction_real} of each batch; set "
            "retrain.fraction_real to 0, or replace fewer images with merge.replace_fraction and merge.replace_classes"
        )
    if real < batch and len(synthetic_keys) == 0:
        raise InputError("there are no synthetic images to sample from")
    reals, synthetics = _ByKey(real_keys[: None if real else 0]), _ByKey(synthetic_keys[: None if real < batch else 0])
    keys = np.union1d(reals.keys, synthetics.keys)
    one_part = np.setxor1d(reals.keys, synthetics.keys)

    def sample(step: int) -> np.ndarray:
        generator = numpy_generator("balanced_minibatches", seed, step)
        drawn = keys[_rounds(len(keys), batch, generator)]
        bound, is_real = np.isin(drawn, one_part), np.isin(drawn, reals.keys)
        left = real - int((bound & is_real).sum())  # real images of keys that both parts have
        is_real &= bound | (np.cumsum(~bound) <= left)
        chosen = np.empty(batch, np.int64)
        chosen[is_real] = reals.draw(drawn[is_real], generator)
        chosen[~is_real] = synthetics.draw(drawn[~is_real], generator) + len(real_keys)
        return generator.permutation(chosen)

    return sample


def minority_sampler(labels: np.ndarray, batch: int, seed: int) -> Sampler:
    """The foregrounds of CMO (Park et al., CVPR 2022): images drawn independently, weighted by 1 / n_class.

    These are the weights per image of the released code at its alpha of 1; they make the classes equally
    likely. labels: (N,). InputError if it is empty.
    """
    members = _members(labels)
    order, sizes = np.concatenate(members), np.array([len(indices) for indices in members])
    cumulative = np.cumsum(np.repeat(1 / sizes, sizes))

    def sample(step: int) -> np.ndarray:
        places = numpy_generator("minority", seed, step).random(batch) * cumulative[-1]
        return order[np.searchsorted(cumulative[:-1], places, side="right")]

    return sample


def subsample_indices(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return sorted indices of as many images of every class as the smallest class has, without repetition.

    labels: (N,), or any other keys. Classes without images are passed over. InputError if labels is empty.
    """
    members = _members(labels)
    smallest = min(len(indices) for indices in members)
    generator = numpy_generator("uniform_subsample", seed)
    return np.sort(np.concatenate([generator.choice(m, smallest, replace=False) for m in members]))


# What each takes as keys: the labels, or the groups where it goes by group.
SAMPLERS: dict[str, tuple[Callable[[np.ndarray, int, int], Sampler], bool]] = {
    "instance": (instance_uniform, False),
    "class": (class_uniform, False),
    "group": (group_uniform, True),
    "subsample_class": (subsample_uniform, False),
    "subsample_group": (subsample_uniform, True),
}


def make_sampler(name: str, labels: np.ndarray, groups: np.ndarray | None, batch: int, seed: int) -> Sampler:
    """Return the sampler that `train.sampler` names.

    labels, groups: (N,), groups None without contexts. InputError for an unknown name, no images, or a sampler
    by group without groups.
    """
    make, by_group = choose("sampler", SAMPLERS, name)
    return make(needs_groups("sampler", name, groups) if by_group else labels, batch, seed)


def needs_groups(parameter: str, name: str, groups: T | None) -> T:
    """Return `groups`; InputError naming `train.<parameter>` if these data have none."""
    if groups is None:
        raise InputError(
            f"train.{parameter} {name} works by group, and this data set has no contexts; "
            f"choose another train.{parameter} or a data set with contexts"
        )
    return groups


def _rounds(among: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """(count,) of 0 .. among - 1, each as often as any other, or once more: one random order after another."""
    return np.concatenate([generator.permutation(among) for _ in range(-(-count // among))])[:count]


class _ByKey:
    """The distinct keys (K,), sorted, and the images of each."""

    def __init__(self, keys: np.ndarray) -> None:
        self.keys, self._sizes = np.unique(keys, return_counts=True)
        self._images, self._first = np.argsort(keys, kind="stable"), np.cumsum(self._sizes) - self._sizes

    def draw(self, keys: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """An image of each of these keys (B,), which all have some."""
        place = np.searchsorted(self.keys, keys)
        return self._images[self._first[place] + generator.integers(self._sizes[place])]


def _members(keys: np.ndarray) -> list[np.ndarray]:
    return indices_by_key(_some(keys))[1]


def _some(keys: np.ndarray) -> np.ndarray:
    if len(keys) == 0:
        raise InputError("there are no training images to sample from")
    return keys
