"""Images in deterministic tar shards of the WebDataset layout, with an index for random access.

A sample is an image, uint8 (H, W, 3), and a dictionary with at least an integer `label`. It is stored as
`00000012.png`, or `.jpg` on demand, and `00000012.json`, which any WebDataset reader can stream; `index.jsonl` holds
where each image lies and its sha256, so that one image is read, and verified, without the rest.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from src.runtime.errors import InputError
from src.runtime.files import atomic_write
from src.runtime.processes import is_main
from src.shards.codec import SUFFIXES, decode, encode
from src.shards.index import INDEX, SHARD, Index
from src.shards.lazy_images import LIMIT_BYTES, Images, ShardImages, in_memory
from src.shards.tar import REPAIR, pack, scan, spelled

Sample = tuple[np.ndarray, dict[str, Any]]


def shard_name(k: int) -> str:
    """Return the file name of shard k, such as shard-00003.tar."""
    return f"shard-{k:05d}.tar"


def write_shard(path: Path, first: int, samples: Sequence[Sample], image_format: str = "png") -> str:
    """Write samples as keys first, first + 1, ... and return the sha256 of the shard; equal samples give equal bytes.

    image_format: "png", which is exact, or "jpeg", some four times smaller and close. Raises InputError for another.
    """
    return write_encoded(path, first, [(encode(image, image_format), meta) for image, meta in samples], image_format)


def write_encoded(
    path: Path, first: int, samples: Sequence[tuple[bytes, dict[str, Any]]], image_format: str = "png"
) -> str:
    """`write_shard` for images that `encode` has turned into bytes, which threads do side by side."""
    data = pack(first, samples, image_format)
    atomic_write(path, data)
    return hashlib.sha256(data).hexdigest()


def write_index(folder: Path) -> None:
    """Write `folder`/index.jsonl, a line per sample, once all shards are there; it marks the folder complete.

    Raises InputError for a damaged shard, a key that occurs twice, or a folder without samples.
    """
    paths = sorted(folder.glob("shard-*.tar"), key=lambda path: (len(path.name), path.name))
    index, last = io.BytesIO(), -1  # whose getvalue copies nothing: a large index has half a gigabyte
    for path in tqdm(paths, "index", unit="shard", mininterval=2, delay=2, leave=False, disable=not is_main()):
        if not SHARD.fullmatch(path.name):
            raise InputError(f"{path} has no shard's name; move it elsewhere")
        for line in scan(path):
            if int(line["key"]) <= last:
                raise InputError(
                    f"{folder} holds sample {line['key']} twice or out of order; delete the folder and run the stage "
                    "that writes it"
                )
            last = int(line["key"])
            index.write(json.dumps(line).encode() + b"\n")
    if last < 0:
        raise InputError(f"{folder} holds no shards; run the stage that writes it")
    atomic_write(folder / INDEX, index.getvalue())


def write_all(folder: Path, samples: Sequence[Sample], shard_size: int = 1000, image_format: str = "png") -> None:
    """Write all samples and the index into an empty or new folder."""
    for k, first in enumerate(range(0, len(samples), shard_size)):
        write_shard(folder / shard_name(k), first, samples[first : first + shard_size], image_format)
    write_index(folder)


class Shards:
    """The samples of a folder, in order of their keys, read at random and by any number of threads.

    labels: int64 (N,); contexts: int64 (N,) of the context (background, domain, sensitive attribute), None for images
    without one; digests: uint8 (N, 32), the sha256 of each stored image.
    """

    def __init__(self, folder: Path | str) -> None:
        """Read the index; InputError if it is missing or damaged."""
        self.folder = Path(folder)
        self._index = Index(self.folder)
        self.labels, self.contexts = self._index.labels, self._index.contexts
        self.digests = self._index.sha256

    def __len__(self) -> int:
        return len(self._index)

    def meta(self, i: int) -> dict[str, Any]:
        """Return a copy of what is recorded beside image i: its label, and how it came about."""
        return self._index.meta(range(len(self))[i])

    def stored(self, i: int) -> bytes:
        """Return image i as it is stored, a PNG or JPEG; InputError naming shard and key if its bytes have changed."""
        index, i = self._index, range(len(self))[i]
        name, length = index.names[index.shard[i]], int(index.length[i])
        data = index.files.read(name, int(index.offset[i]), length)
        if len(data) != length or hashlib.sha256(data).digest() != index.sha256[i].tobytes():
            raise InputError(f"{self._place(i)} is damaged at sample {spelled(index.keys[i])}; {REPAIR}")
        return data

    def suffix(self, i: int) -> str:
        """Return the extension of what `stored` returns, png or jpg."""
        return SUFFIXES[self._format(i)]

    def image(self, i: int) -> np.ndarray:
        """Return image i, uint8 (H, W, 3); InputError as for `stored`, or if the bytes are no image of a sane size."""
        data, i = self.stored(i), range(len(self))[i]
        try:
            return decode(data, self._format(i))
        except ValueError as error:
            where = f"{self._place(i)} holds an unreadable image at sample {spelled(self._index.keys[i])}"
            raise InputError(f"{where}: {error}; {REPAIR}") from None

    def images(self, limit_bytes: int = LIMIT_BYTES) -> Images:
        """Return all images as uint8 (N, H, W, 3), an array if they fit `limit_bytes` and a lazy view of them if not.

        Raises InputError if they differ in size: here for an array, at the image in question for a view.
        """
        return in_memory(ShardImages(self), limit_bytes)

    def _format(self, i: int) -> str:
        return "jpeg" if self._index.jpeg[i] else "png"

    def _place(self, i: int) -> Path:
        return self.folder / self._index.names[self._index.shard[i]]
