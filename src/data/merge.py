"""How real and synthetic images make the balanced training set of an arm, of either paper's alike."""

from typing import NamedTuple, Protocol

import numpy as np

from src.data.grouping import BALANCE, first_of_each
from src.data.merged_index import Merged
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.settings.sections import MergeSettings
from src.shards.store import Shards


class Annotations(Protocol):
    """Of the images of one source: labels, int64 (N,), and contexts, int64 (N,) or None. `Shards` have them."""

    labels: np.ndarray
    contexts: np.ndarray | None


def uniformise(
    real: Annotations,
    synthetic: Annotations,
    balance: str = "class",
    kept: np.ndarray | None = None,
    offered: np.ndarray | None = None,
) -> Merged:
    """SYNAuG's first step (arXiv 2308.00994, section 3.2): the real images kept, and of every class as many synthetic
    ones, first ones first, as fill it up to the largest real class; with balance="group" of every group.

    kept: bool (N,), real images that stay, the others' places being filled up; offered: bool (M,), synthetic images
    that may be used; None: all. The result has contexts if both parts have them. Raises InputError for a class, or
    group, that stays empty or, where real images are replaced, cannot be filled up, and for groups without contexts.
    """
    units = _units(real, synthetic, balance)
    stays, offers = _positions(len(units.real), kept), _positions(len(units.synthetic), offered)
    available = units.sizes(units.synthetic[offers])
    places = units.sizes(units.real).max() - units.sizes(units.real[stays])
    if len(stays) < len(units.real) and (short := np.flatnonzero(available < places)).size:
        raise InputError(
            f"{units.name(short[0])} has {places[short[0]]} places to fill, replaced real images' among them, and "
            f"synthetic images for {available[short[0]]}; raise budgets.<dataset>.per_class, or lower "
            "merge.replace_fraction and merge.replace_classes"
        )
    return _merged(real, synthetic, units, stays, offers[first_of_each(units.synthetic[offers], places)])


def union(
    real: Annotations,
    synthetic: Annotations,
    balance: str = "class",
    kept: np.ndarray | None = None,
    offered: np.ndarray | None = None,
) -> Merged:
    """All real and all synthetic images: with fill=up_to uniform, as SYNAuG's first step makes them (arXiv 2308.00994)
    and as feedback guidance trains on ImageNet-LT (arXiv 2310.00158). Arguments and errors as for `uniformise`, but
    nothing need be filled up.
    """
    units = _units(real, synthetic, balance)
    return _merged(real, synthetic, units, _positions(len(units.real), kept), _positions(len(units.synthetic), offered))


def kept_images(labels: np.ndarray, settings: MergeSettings) -> np.ndarray:
    """Which real images (N,) synthetic ones do not replace (SYNAuG's data perspective, arXiv 2308.00994).

    Replaced are the last `replace_fraction` of every class, rounded, and all of the last `replace_classes` classes.
    Raises InputError for more classes than there are.
    """
    count, classes = int(labels.max()) + 1, settings.replace_classes
    if classes > count:
        raise InputError(f"merge.replace_classes={classes} must lie in 0..{count}, the number of classes")
    sizes = np.bincount(labels, minlength=count)
    stays = sizes - np.round(settings.replace_fraction * sizes).astype(int)
    stays[count - classes :] = 0
    kept = np.zeros(len(labels), bool)
    kept[first_of_each(labels, stays)] = True
    return kept


def within_budget(
    synthetic: Shards, per_class: int | None, passed: np.ndarray | None = None, balance: str = "class"
) -> np.ndarray | None:
    """Which synthetic images (M,) are among the first `per_class` of their class, or group, as the plan numbered them.

    A smaller budget's images are among a larger one's, so that budgets can be compared without new synthesis. passed:
    bool (M,), which of them count at all; the next ones take the others' places. None for all. Raises InputError for
    images without a number.
    """
    if per_class is None:
        return passed
    numbers = [synthetic.meta(i).get("index") for i in range(len(synthetic))]
    if not all(type(number) is int for number in numbers):
        raise InputError(f"{synthetic.folder} has images without an index, which merge.per_class needs; leave it empty")
    if passed is None:
        return np.array(numbers) < per_class
    units = _units(synthetic, synthetic, balance).synthetic
    order = np.argsort(np.array(numbers), kind="stable")
    order = order[passed[order]]
    left = np.zeros(len(units), bool)
    left[order[first_of_each(units[order], np.full(units.max() + 1, per_class))]] = True
    return left


class _Units(NamedTuple):
    """What is balanced: of each real and synthetic image its class, or its group label * contexts + context."""

    real: np.ndarray
    synthetic: np.ndarray
    contexts: int | None  # None where classes are balanced

    def sizes(self, units: np.ndarray) -> np.ndarray:
        """Images of every unit that there may be, also of those without any."""
        width, largest = self.contexts or 1, max(self.real.max(), self.synthetic.max())
        return np.bincount(units, minlength=(int(largest) // width + 1) * width)

    def name(self, unit: int) -> str:
        label, context = divmod(int(unit), self.contexts or 1)
        return f"class {label}" if self.contexts is None else f"class {label} in context {context}"


def _units(real: Annotations, synthetic: Annotations, balance: str) -> _Units:
    choose("budget balance", dict.fromkeys(BALANCE), balance)
    if balance == "class":
        return _Units(real.labels, synthetic.labels, None)
    if real.contexts is None or synthetic.contexts is None:
        raise InputError("the budget's balance=group needs real and synthetic images with contexts; set it to class")
    width = int(max(real.contexts.max(), synthetic.contexts.max())) + 1
    return _Units(real.labels * width + real.contexts, synthetic.labels * width + synthetic.contexts, width)


def _positions(count: int, mask: np.ndarray | None) -> np.ndarray:
    return np.arange(count) if mask is None else np.flatnonzero(mask)


def _merged(real: Annotations, synthetic: Annotations, units: _Units, kept: np.ndarray, used: np.ndarray) -> Merged:
    """The real images kept and the synthetic ones used, by position; InputError if a unit stays empty."""
    counts = units.sizes(np.concatenate([units.real[kept], units.synthetic[used]]))
    if (empty := np.flatnonzero(counts == 0)).size:
        raise InputError(
            f"{units.name(empty[0])} has neither real nor synthetic images; raise the budget's per_class, or set "
            "merge.filter to none"
        )
    contexts = None
    if real.contexts is not None and synthetic.contexts is not None:
        contexts = np.concatenate([real.contexts[kept], synthetic.contexts[used]])
    return Merged(
        np.repeat([False, True], [len(kept), len(used)]),
        np.concatenate([kept, used]),
        np.concatenate([real.labels[kept], synthetic.labels[used]]),
        contexts,
    )
