"""Which synthetic images are clean: those that look like real ones of their class, in CLIP's space.

`clean` follows the prototype filters of arXiv 2605.01468 and 2503.17226, `clip` the usual filter by caption. What they
reject is replaced by the next images of the same class, if more were made than `merge.per_class` asks for.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from src.data.grouping import whole_runs
from src.runtime.choices import choose

CHUNK = 4096  # images that are compared with all prototypes at once


class Looks(NamedTuple):
    """Unit CLIP embeddings: of synthetic images (M, D) of classes `labels` (M,), of real ones (N, D) of `real_labels`
    (N,), and of each class's prompt (C, D), empty where the filter does not ask."""

    synthetic: np.ndarray
    labels: np.ndarray
    real: np.ndarray
    real_labels: np.ndarray
    texts: np.ndarray


def clean(looks: Looks, band: Sequence[float]) -> np.ndarray:
    """Whether (M,) an image is as far from its class's prototype as real ones are, and from no other's less far.

    A prototype is the mean of the class's real images, at length 1. As far as real images: between the quantiles `band`
    of their distances to the prototype of the others of their class, over all classes that have others. A mean of n
    images is itself off by 1/n of their variance, so that distances to it are divided by 1 + 1/n.
    """
    prototypes, counts = _prototypes(looks)
    others = counts[looks.real_labels] - 1
    sums = prototypes[looks.real_labels] * counts[looks.real_labels, None]
    apart = ((1 - (looks.real * _unit(sums - looks.real)).sum(1)) / (1 + 1 / np.maximum(others, 1)))[others > 0]
    low, high = np.quantile(apart, band) if len(apart) else (0.0, np.inf)
    towards, spread = _unit(prototypes).T, np.where(counts == 0, 0, 1 + 1 / np.maximum(counts, 1))  # (D, C), (C,)
    kept = [
        _near(looks.synthetic[rows], looks.labels[rows], towards, spread, low, high)
        for rows in whole_runs(len(looks.labels), CHUNK)
    ]
    return np.concatenate(kept)


def _near(
    x: np.ndarray, labels: np.ndarray, towards: np.ndarray, spread: np.ndarray, low: float, high: float
) -> np.ndarray:
    """`clean` of some images (B, D). Of a class without real images nothing is known, and it keeps its images."""
    with np.errstate(divide="ignore"):
        every = (1 - x @ towards) / spread  # (B, C), infinite from a class without a prototype
    mine = every[np.arange(len(every)), labels]
    return ((low <= mine) & (mine <= high) & (mine <= every.min(1))) | (spread[labels] == 0)


def clip(looks: Looks, band: Sequence[float]) -> np.ndarray:
    """Whether (M,) an image fits its class's prompt as well as real ones do, all but the share 1 - band[1] of them, and
    no other class's better."""
    real = (looks.real * looks.texts[looks.real_labels]).sum(1)
    least = np.quantile(real, 1 - band[1])
    kept = []
    for rows in whole_runs(len(looks.labels), CHUNK):
        fits = looks.synthetic[rows] @ looks.texts.T  # (B, C)
        mine = fits[np.arange(len(fits)), looks.labels[rows]]
        kept.append((mine >= least) & (mine >= fits.max(1)))
    return np.concatenate(kept)


FILTERS: dict[str, Callable[[Looks, Sequence[float]], np.ndarray] | None] = {"none": None, "clean": clean, "clip": clip}


def accepted(name: str, embed: Callable[[], Looks], band: Sequence[float]) -> np.ndarray | None:
    """Which synthetic images (M,) the filter of this name keeps; None for all. InputError for an unknown filter."""
    chosen = choose("merge.filter", FILTERS, name)
    return None if chosen is None else chosen(embed(), band)


def shares_kept(passed: np.ndarray | None, labels: np.ndarray) -> dict[str, object]:
    """What the filter kept of the synthetic images, over all and by class; ready for JSON."""
    kept = np.ones(len(labels), bool) if passed is None else passed
    made, left = np.bincount(labels), np.bincount(labels[kept], minlength=labels.max() + 1)
    by_class = [None if made[k] == 0 else float(left[k] / made[k]) for k in range(len(made))]
    return {"share_kept": float(kept.mean()), "share_kept_by_class": by_class}


def short(
    labels: np.ndarray, offered: np.ndarray | None, per_class: int | None, contexts: np.ndarray | None = None
) -> list[int]:  # fmt: skip
    """Classes that have synthetic images, `labels` (M,), of which fewer than `per_class` are offered (M,); with
    `contexts` (M,) those of which a group has fewer."""
    if per_class is None or offered is None:
        return []
    width = 1 if contexts is None else int(contexts.max()) + 1
    units = labels * width + (0 if contexts is None else contexts)
    left = np.bincount(units[offered], minlength=units.max() + 1)
    return sorted({int(unit) // width for unit in np.unique(units) if left[unit] < per_class})


def _prototypes(looks: Looks) -> tuple[np.ndarray, np.ndarray]:
    """Means (C, D) of the real images of each class, and how many there are (C,)."""
    classes = int(max(looks.real_labels.max(), looks.labels.max())) + 1
    counts = np.bincount(looks.real_labels, minlength=classes)
    sums = np.zeros((classes, looks.real.shape[1]))
    np.add.at(sums, looks.real_labels, looks.real)
    return sums / np.maximum(counts, 1)[:, None], counts


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(x.dtype).tiny)
