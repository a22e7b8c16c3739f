"""The balanced training set of an arm: an index into real and synthetic shards, no copies."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.runtime.errors import InputError
from src.runtime.files import atomic_write, read_bytes
from src.settings.checks import number, whole
from src.shards.lazy_images import Chosen, Images, ShardImages, in_memory
from src.shards.store import Shards

SOURCES = ("real", "synthetic")
BALANCE = ("class", "group")
COLUMNS = ("source", "position", "label", "context")  # of the file, the last only where there are contexts
# All lines of a sound file. Numbers fit int64; the possessive repeat keeps no place to come back to for each line.
_ENTRIES = {
    width: re.compile(rb"(?:(?:real|synthetic)(?:,(?:0|-?[1-9][0-9]{0,17})){%d}\n)*+" % (width - 1)) for width in (3, 4)
}


@dataclass(frozen=True)
class Merged:
    """Entries in order, real ones first: `synthetic` bool (N,), `position` in its shards (N,), `label` (N,), and
    `context` (N,), None where an image has none."""

    synthetic: np.ndarray
    position: np.ndarray
    label: np.ndarray
    context: np.ndarray | None = None

    def check(self, real: Shards, made: Shards) -> None:
        """InputError if the index and the shards disagree."""
        for shards, chosen in ((real, ~self.synthetic), (made, self.synthetic)):
            position = self.position[chosen]
            if len(position) and position.max() >= len(shards):
                raise InputError(
                    f"the merged index points beyond the {len(shards)} images of {shards.folder}; "
                    "run `dvc repro` to merge again"
                )
            if not np.array_equal(shards.labels[position], self.label[chosen]):
                raise InputError(
                    f"the merged index and {shards.folder} disagree on labels; run `dvc repro` to merge again"
                )

    def images(self, real: Shards, made: Shards) -> Images:
        """All entries' images, uint8 (N, H, W, 3): an array, or a lazy view of too many for one.

        Raises InputError if the index and the shards disagree.
        """
        self.check(real, made)
        return in_memory(Chosen([ShardImages(real), ShardImages(made)], self.synthetic, self.position))


def merge(
    real_labels: np.ndarray,
    made_labels: np.ndarray,
    uniformise: bool,
    real_contexts: np.ndarray | None = None,
    made_contexts: np.ndarray | None = None,
    balance: str = "class",
    replaced: np.ndarray | None = None,
) -> Merged:
    """All real images, and all synthetic ones (feedback guidance) or, to `uniformise` (SYNAuG), as many of each class,
    first ones first, as fill it up to the largest real class; with balance="group" of each group, to the largest.

    replaced: bool (N,), real images to leave out, whose places synthetic ones take; none of them by default. Contexts
    are kept if both parts have them. Raises InputError for a class, or group, that stays empty or, where real images
    are replaced, cannot be filled up, and for groups without contexts.
    """
    if balance not in BALANCE:
        raise InputError(f"unknown budget balance '{balance}'; known: {', '.join(BALANCE)}")
    contexts = None if real_contexts is None or made_contexts is None else (real_contexts, made_contexts)
    unit, groups = 1, [real_labels, made_labels]
    if balance == "group":
        if contexts is None:
            raise InputError(
                "the budget's balance=group needs real and synthetic images with contexts; set it to class"
            )
        unit = int(max(part.max() for part in contexts)) + 1
        groups = [labels * unit + part for labels, part in zip(groups, contexts, strict=True)]
    count = (int(max(real_labels.max(), made_labels.max())) + 1) * unit
    kept = np.arange(len(real_labels)) if replaced is None else np.flatnonzero(~replaced)
    largest, counts = np.bincount(groups[0]).max(), np.bincount(groups[0][kept], minlength=count)
    chosen, available = np.arange(len(made_labels)), np.bincount(groups[1], minlength=count)
    if uniformise:
        chosen = _first_of_each(groups[1], largest - counts)
        if len(kept) < len(real_labels) and (short := np.flatnonzero(available < largest - counts)).size:
            raise InputError(
                f"{_what(short[0], unit, balance)} has {largest - counts[short[0]]} places to fill, replaced real "
                f"images' among them, and synthetic images for {available[short[0]]}; raise "
                "budgets.<dataset>.per_class, or lower merge.replace_fraction and merge.replace_classes"
            )
    empty = np.flatnonzero(counts + np.bincount(groups[1][chosen], minlength=count) == 0)
    if len(empty):
        raise InputError(
            f"{_what(empty[0], unit, balance)} has neither real nor synthetic images; raise the budget's per_class"
        )
    return Merged(
        np.repeat([False, True], [len(kept), len(chosen)]),
        np.concatenate([kept, chosen]),
        np.concatenate([real_labels[kept], made_labels[chosen]]),
        None if contexts is None else np.concatenate([contexts[0][kept], contexts[1][chosen]]),
    )


def to_replace(labels: np.ndarray, fraction: float, classes: int) -> np.ndarray:
    """Return which real images (N,) synthetic ones are to replace (SYNAuG's data perspective, arXiv 2308.00994).

    The last `fraction` of every class, rounded, and all of the last `classes` classes. InputError for impossible ones.
    """
    count = int(labels.max()) + 1
    if not 0 <= number("merge.replace_fraction", fraction) <= 1:
        raise InputError(f"merge.replace_fraction={fraction} must lie in 0..1")
    if not 0 <= whole("merge.replace_classes", classes) <= count:
        raise InputError(f"merge.replace_classes={classes} must lie in 0..{count}, the number of classes")
    sizes = np.bincount(labels, minlength=count)
    stays = sizes - np.round(fraction * sizes).astype(int)
    stays[count - classes :] = 0
    replaced = np.ones(len(labels), bool)
    replaced[_first_of_each(labels, stays)] = False
    return replaced


def _what(group: int, unit: int, balance: str) -> str:
    label, context = divmod(int(group), unit)
    return f"class {label}" if balance == "class" else f"class {label} in context {context}"


def _first_of_each(groups: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Ascending positions of the first wanted[g] members of every group g, or of all where it has fewer."""
    order, sizes = np.argsort(groups, kind="stable"), np.bincount(groups, minlength=len(wanted))
    rank = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # within its group, in sorted order
    return np.sort(order[rank < np.repeat(wanted, sizes)])


def write_merged(path: Path, merged: Merged) -> None:
    """One CSV line per entry: source, position, label, and context if there are any."""
    sources = [SOURCES[synthetic] for synthetic in merged.synthetic.astype(int).tolist()]
    columns = [sources, merged.position.tolist(), merged.label.tolist()]
    if merged.context is not None:
        columns.append(merged.context.tolist())
    entry = ",".join(["%s"] * len(columns)) + "\n"
    lines = "".join([entry % values for values in zip(*columns, strict=True)])
    atomic_write(path, f"{','.join(COLUMNS[: len(columns)])}\n{lines}".encode())


def read_merged(path: Path) -> Merged:
    """What `write_merged` wrote, to the letter. Raises InputError for a missing or damaged file."""
    header, _, lines = read_bytes(path).partition(b"\n")
    if not lines:
        raise InputError(f"{path} is empty; run `dvc repro` to merge again")
    names = tuple(header.decode("latin-1").split(","))
    if names not in (COLUMNS, COLUMNS[:-1]) or not _ENTRIES[len(names)].fullmatch(lines):
        raise InputError(f"{path} is damaged; run `dvc repro` to merge again")
    for digit, source in enumerate(SOURCES):
        lines = lines.replace(source.encode(), b"%d" % digit)
    table = np.fromstring(lines.replace(b",", b" "), np.int64, sep=" ").reshape(-1, len(names))
    if (table < 0).any():
        raise InputError(f"{path} holds negative numbers; run `dvc repro` to merge again")
    synthetic, *numbers = table.T.copy()
    return Merged(synthetic.astype(bool), *numbers)
