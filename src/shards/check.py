"""Which shards of a folder are not what was written, told from index.jsonl, so that those alone are made again."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from src.runtime.errors import InputError
from src.runtime.processes import is_main
from src.shards.codec import SUFFIXES
from src.shards.index import Index
from src.shards.tar import end, header, meta_member, spelled


def damaged(folder: Path | str) -> dict[str, str]:
    """File names of damaged shards, each with what is wrong as half a sentence ("is missing"); empty if all are sound.

    Every byte counts: a shard is deterministic, so that the index tells what lies around the images too. Raises
    InputError if the index itself is missing or damaged.
    """
    index = Index(Path(folder))
    order = np.argsort(index.shard, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(index.shard[order])) + 1)
    bar = tqdm(total=len(index), desc=f"checking {folder}", unit="image", mininterval=2, delay=2, leave=False,
               disable=not is_main())  # fmt: skip
    with ThreadPoolExecutor() as pool, bar:
        damages = {}
        for part, damage in zip(parts, pool.map(lambda part: _damage(index, part), parts), strict=True):
            bar.update(len(part))
            if damage is not None:
                damages[index.names[index.shard[part[0]]]] = damage
    return damages


def _damage(index: Index, part: np.ndarray) -> str | None:
    """What is wrong with the shard of these samples."""
    name, read = index.names[index.shard[part[0]]], index.files.read
    before, around = b"", []
    for i in part:
        key, length = int(index.keys[i]), int(index.length[i])
        suffix = SUFFIXES["jpeg" if index.jpeg[i] else "png"]
        around.append(before + header(f"{spelled(key)}.{suffix}", length))
        before = b"".join(meta_member(key, json.dumps(index.meta(int(i))).encode(), length))
    total = sum(map(len, around)) + int(index.length[part].sum()) + len(before)
    last = before + end(total)
    total += len(last) - len(before)
    try:
        size = index.files.size(name)
    except InputError:
        return "is missing"
    if size != total:
        return f"has {size} bytes instead of {total}"
    position = 0
    for i, expected in zip(part, around, strict=True):
        sample, length = spelled(int(index.keys[i])), int(index.length[i])
        header_there, position = read(name, position, len(expected)), position + len(expected)
        image_hash = hashlib.sha256(read(name, position, length)).digest()
        if position != index.offset[i] or image_hash != index.sha256[i].tobytes():
            return f"is damaged at sample {sample}"
        if header_there != expected:
            return f"is damaged before the image of sample {sample}"
        position += length
    return None if read(name, position, len(last)) == last else "is damaged at its end"
