"""The index of a balanced training set: which images of real and synthetic shards it consists of, without copies."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.runtime.errors import InputError
from src.runtime.files import atomic_write, read_bytes
from src.shards.lazy_images import Chosen, Images, ShardImages, in_memory
from src.shards.store import Shards

SOURCES = ("real", "synthetic")
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

    def check(self, real: Shards, synthetic: Shards) -> None:
        """InputError if the index and the shards disagree."""
        for shards, chosen in ((real, ~self.synthetic), (synthetic, self.synthetic)):
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

    def images(self, real: Shards, synthetic: Shards) -> Images:
        """All entries' images, uint8 (N, H, W, 3): an array, or a lazy view of too many for one.

        Raises InputError if the index and the shards disagree.
        """
        self.check(real, synthetic)
        return in_memory(Chosen([ShardImages(real), ShardImages(synthetic)], self.synthetic, self.position))


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
