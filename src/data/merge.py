"""The balanced training set of an arm: an index into real and synthetic shards, no copies."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.errors import InputError
from src.files import read_bytes, write_csv
from src.shards import Shards

SOURCES = ("real", "synthetic")


@dataclass(frozen=True)
class Merged:
    """Entries in order, real ones first: `synthetic` bool (N,), `position` in its shards (N,), `label` (N,)."""

    synthetic: np.ndarray
    position: np.ndarray
    label: np.ndarray

    def images(self, real: Shards, made: Shards) -> np.ndarray:
        """All entries' images, uint8 (N, H, W, 3). Raises InputError if the index and the shards disagree."""
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
        pairs = zip(self.synthetic, self.position, strict=True)
        return np.stack([(made if synthetic else real).image(int(i)) for synthetic, i in pairs])


def merge(real_labels: np.ndarray, made_labels: np.ndarray, uniformise: bool) -> Merged:
    """All real images, and all synthetic ones (feedback guidance) or, to `uniformise` (SYNAuG), as many of each class,
    first ones first, as fill it up to the largest real class. Raises InputError for a class that stays empty."""
    classes = int(max(real_labels.max(), made_labels.max())) + 1
    counts = np.bincount(real_labels, minlength=classes)
    taken = [
        np.flatnonzero(made_labels == k)[: counts.max() - counts[k] if uniformise else None] for k in range(classes)
    ]
    chosen = np.sort(np.concatenate(taken))
    merged = Merged(
        np.repeat([False, True], [len(real_labels), len(chosen)]),
        np.concatenate([np.arange(len(real_labels)), chosen]),
        np.concatenate([real_labels, made_labels[chosen]]),
    )
    empty = np.flatnonzero(np.bincount(merged.label, minlength=classes) == 0)
    if len(empty):
        raise InputError(f"class {empty[0]} has neither real nor synthetic images; raise synth.per_class")
    return merged


def write_merged(path: Path, merged: Merged) -> None:
    """One CSV line per entry: source, position, label."""
    columns = zip(merged.synthetic, merged.position, merged.label, strict=True)
    write_csv(path, [{"source": SOURCES[int(s)], "position": int(p), "label": int(y)} for s, p, y in columns])


def read_merged(path: Path) -> Merged:
    """What `write_merged` wrote. Raises InputError for a missing or damaged file."""
    try:
        rows = list(csv.DictReader(io.StringIO(read_bytes(path).decode())))
        made = Merged(
            np.array([bool(SOURCES.index(row["source"])) for row in rows]),
            np.array([int(row["position"]) for row in rows]),
            np.array([int(row["label"]) for row in rows]),
        )
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged; run `dvc repro` to merge again") from None
    if len(rows) == 0 or (made.position < 0).any() or (made.label < 0).any():
        raise InputError(f"{path} is empty or holds negative numbers; run `dvc repro` to merge again")
    return made
