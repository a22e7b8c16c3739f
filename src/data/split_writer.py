"""A data set's splits into shards: every image is read once, shrunk and stored, and no more than a shard is held."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from src.data.prepared_data import ImageSource, PreparedData
from src.data.splits import split_hash
from src.runtime.errors import InputError
from src.runtime.files import atomic_write, hash_file, read_bytes
from src.runtime.processes import is_main
from src.shards.lazy_images import ShardImages
from src.shards.pixels import shrunk
from src.shards.store import Shards, encode, shard_name, write_encoded, write_index

SHARD_SIZE = 1000
LONGEST = 2.0  # of training images, times their shorter side: what a random crop may see
TRAINED_ON = ("train", "pool")
SUMS = "sums"  # of finished shards, beside the splits
TOGETHER = 256  # images decoded at a time where a split is hashed


def fingerprint(data: PreparedData, state: str) -> str:
    """Names what is to be written, before any image is read: which image stands where, with which label and context.

    state: of the files that the images are read from, see `src.data.locations.raw_state`.
    """
    digest = hashlib.sha256(state.encode())
    for name, source in data.splits.items():
        contexts = None if source.contexts is None else source.contexts.tolist()
        digest.update(json.dumps([name, source.ids, source.labels.tolist(), contexts]).encode())
    return digest.hexdigest()


def write_splits(data: PreparedData, size: int, folder: Path, with_ids: bool) -> dict[str, str]:
    """Write each split into `folder`/<split> as images uint8 (size, size, 3); return the hash of each split's pixels.

    Images that are trained on keep their long side up to LONGEST, for random crops; everything else sees the middle.

    with_ids: whether the shards record what the source calls each image. Shards that are there already, and still have
    the hash that `folder`/sums states, are kept, so that an interrupted run continues. Raises InputError for the first
    image that cannot be read, naming it.
    """
    written: dict[int, str] = {}  # by source: the split that its images were read for
    with (
        ThreadPoolExecutor() as pool,
        tqdm(total=sum(map(len, data.splits.values())), desc="images", unit="image", mininterval=2, delay=2,
             leave=False, disable=not is_main()) as bar,
    ):  # fmt: skip
        for name, source in data.splits.items():
            parts = [range(i, min(i + SHARD_SIZE, len(source))) for i in range(0, len(source), SHARD_SIZE)]
            longest = LONGEST if name in TRAINED_ON else 1.0
            twin = written.setdefault(id(source), name)
            for k, part in enumerate(parts):
                path, known = folder / name / shard_name(k), folder / SUMS / name / f"{k:05d}"
                if known.exists() and path.exists() and hash_file(path).encode() == known.read_bytes():
                    bar.update(len(part))
                    continue
                if twin != name:
                    atomic_write(path, read_bytes(folder / twin / shard_name(k)))
                    bar.update(len(part))
                else:
                    write_encoded(path, part.start, list(_samples(source, size, longest, part, with_ids, pool, bar)))
                atomic_write(known, hash_file(path).encode())
            write_index(folder / name)
            if len(Shards(folder / name)) != len(source):  # such as somebody who removes the folder meanwhile
                raise InputError(f"{folder / name} has lost images while it was filled; run the stage again")
    hashes = {name: _pixel_hash(Shards(folder / name)) for name in written.values()}
    return {name: hashes[written[id(source)]] for name, source in data.splits.items()}


def _samples(
    source: ImageSource, size: int, longest: float, part: range, with_ids: bool, pool: ThreadPoolExecutor, bar: tqdm
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    for i, png in zip(part, pool.map(lambda i: encode(shrunk(source.read(i), size, longest)), part), strict=True):
        meta: dict[str, Any] = {"label": int(source.labels[i])}
        if source.contexts is not None:
            meta["context"] = int(source.contexts[i])
        if with_ids:
            meta["id"] = source.ids[i]
        bar.update()
        yield png, meta


def _pixel_hash(shards: Shards) -> str:
    # Read back rather than noted while writing: the same for a resumed run, and a proof that the shards are sound.
    images, places = ShardImages(shards), np.arange(len(shards))
    starts = range(0, len(images), TOGETHER)
    return split_hash(image.tobytes() for k in starts for image in images.whole(places[k : k + TOGETHER]))
