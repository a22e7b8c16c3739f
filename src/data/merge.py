"""The balanced training set of an arm: an index into real and synthetic shards, no copies."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.data.images_of import Chosen, Images, ShardImages, in_memory
from src.errors import InputError
from src.files import read_bytes, write_csv
from src.shards import Shards

SOURCES = ("real", "synthetic")
BALANCE = ("class", "group")


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
) -> Merged:
    """All real images, and all synthetic ones (feedback guidance) or, to `uniformise` (SYNAuG), as many of each class,
    first ones first, as fill it up to the largest real class; with balance="group" of each group, to the largest.

    Contexts are kept if both parts have them. Raises InputError for a class, or group, that stays empty, and for groups
    without contexts.
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
    counts = np.bincount(groups[0], minlength=count)
    taken = [np.flatnonzero(groups[1] == g)[: counts.max() - counts[g] if uniformise else None] for g in range(count)]
    chosen = np.sort(np.concatenate(taken))
    empty = np.flatnonzero(counts + np.bincount(groups[1][chosen], minlength=count) == 0)
    if len(empty):
        label, context = divmod(int(empty[0]), unit)
        what = f"class {label}" if balance == "class" else f"class {label} in context {context}"
        raise InputError(f"{what} has neither real nor synthetic images; raise the budget's per_class")
    return Merged(
        np.repeat([False, True], [len(real_labels), len(chosen)]),
        np.concatenate([np.arange(len(real_labels)), chosen]),
        np.concatenate([real_labels, made_labels[chosen]]),
        None if contexts is None else np.concatenate([contexts[0], contexts[1][chosen]]),
    )


def write_merged(path: Path, merged: Merged) -> None:
    """One CSV line per entry: source, position, label, and context if there are any."""
    columns = zip(merged.synthetic, merged.position, merged.label, strict=True)
    rows = [{"source": SOURCES[int(s)], "position": int(p), "label": int(y)} for s, p, y in columns]
    if merged.context is not None:
        rows = [{**row, "context": int(a)} for row, a in zip(rows, merged.context, strict=True)]
    write_csv(path, rows)


def read_merged(path: Path) -> Merged:
    """What `write_merged` wrote. Raises InputError for a missing or damaged file."""
    try:
        reader = csv.DictReader(io.StringIO(read_bytes(path).decode()))
        rows = list(reader)
        contexts = [int(row["context"]) for row in rows] if "context" in (reader.fieldnames or ()) else None
        made = Merged(
            np.array([bool(SOURCES.index(row["source"])) for row in rows]),
            np.array([int(row["position"]) for row in rows]),
            np.array([int(row["label"]) for row in rows]),
            None if contexts is None else np.array(contexts),
        )
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged; run `dvc repro` to merge again") from None
    numbers = [made.position, made.label, *([] if made.context is None else [made.context])]
    if len(rows) == 0 or any((column < 0).any() for column in numbers):
        raise InputError(f"{path} is empty or holds negative numbers; run `dvc repro` to merge again")
    return made
