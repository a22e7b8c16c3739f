"""Images in deterministic tar shards of the WebDataset layout, with an index for random access.

A sample is an image, uint8 (H, W, 3), and a dictionary with at least an integer `label`. It is stored as
`00000012.png` and `00000012.json`, which any WebDataset reader can stream; `index.jsonl` holds where each PNG
lies and its sha256, so that one image is read, and verified, without the rest.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from src.data.images_of import LIMIT_BYTES, Images, images_of
from src.errors import InputError
from src.files import atomic_write, read_bytes

Sample = tuple[np.ndarray, dict[str, Any]]

_SHARD = re.compile(r"shard-[0-9]{5,}\.tar")
_MEMBER = re.compile(r"([0-9]{8,})\.(png|json)")
_REPAIR = "run `dvc checkout`, or `dvc repro -f` with the stage that writes it"


def shard_name(k: int) -> str:
    """Return the file name of shard k, such as shard-00003.tar."""
    return f"shard-{k:05d}.tar"


def write_shard(path: Path, first: int, samples: Sequence[Sample]) -> None:
    """Write samples as keys first, first + 1, ...; equal samples give equal bytes."""
    write_encoded(path, first, [(encode(image), meta) for image, meta in samples])


def encode(image: np.ndarray) -> bytes:
    """The PNG that is stored for an image; ValueError unless it is uint8 (H, W, 3)."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"expected a uint8 (H, W, 3) image, got {image.dtype} {image.shape}")
    png = io.BytesIO()
    Image.fromarray(image).save(png, "PNG")
    return png.getvalue()


def write_encoded(path: Path, first: int, samples: Sequence[tuple[bytes, dict[str, Any]]]) -> None:
    """`write_shard` for images that `encode` has turned into PNGs, which threads do side by side."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key, (png, meta) in enumerate(samples, first):
            if "label" not in meta:
                raise ValueError(f"sample {key} must be an image with a label")
            _add(tar, f"{key:08d}.png", png)
            _add(tar, f"{key:08d}.json", json.dumps(meta, sort_keys=True, allow_nan=False).encode())
    atomic_write(path, data.getvalue())


def write_index(folder: Path) -> None:
    """Write `folder`/index.jsonl, a line per sample, once all shards are there; it marks the folder complete.

    Raises InputError for a damaged shard, a key that occurs twice, or a folder without samples.
    """
    lines = [line for path in sorted(folder.glob("shard-*.tar")) for line in _scan(path)]
    if not lines:
        raise InputError(f"{folder} holds no shards; run the stage that writes it")
    keys = [line["key"] for line in lines]
    if len(set(keys)) < len(keys):
        raise InputError(f"{folder} holds a sample key twice; delete the folder and run the stage that writes it")
    atomic_write(folder / "index.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())


def write_all(folder: Path, samples: Sequence[Sample], shard_size: int = 1000) -> None:
    """Write all samples and the index into an empty or new folder."""
    for k, first in enumerate(range(0, len(samples), shard_size)):
        write_shard(folder / shard_name(k), first, samples[first : first + shard_size])
    write_index(folder)


class Shards:
    """The samples of a folder, in order of their keys, read at random."""

    def __init__(self, folder: Path | str) -> None:
        """Read the index; InputError if it is missing or damaged."""
        self.folder = Path(folder)
        try:
            self._lines = [json.loads(line) for line in read_bytes(self.folder / "index.jsonl").splitlines()]
            metas = [line["meta"] for line in self._lines]
            self.labels = np.array([meta["label"] for meta in metas], dtype=np.int64)
            contexts = [meta.get("context") for meta in metas]
            # int64 (N,) of the context (background, domain, sensitive attribute), None for images without one
            self.contexts = None if contexts.count(None) == len(contexts) else np.array(contexts, dtype=np.int64)
            sound = all(_SHARD.fullmatch(line["shard"]) for line in self._lines)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            sound = False
        if not sound:
            raise InputError(f"{self.folder / 'index.jsonl'} is damaged; {_REPAIR}")

    def __len__(self) -> int:
        return len(self._lines)

    def meta(self, i: int) -> dict[str, Any]:
        """Return a copy of what is recorded beside image i: its label, and how it came about."""
        return dict(self._lines[i]["meta"])

    def image(self, i: int) -> np.ndarray:
        """Return image i, uint8 (H, W, 3); InputError naming shard and key if its bytes have changed."""
        line = self._lines[i]
        path = self.folder / line["shard"]
        try:
            with open(path, "rb") as file:
                file.seek(line["offset"])
                png = file.read(line["length"])
        except FileNotFoundError:
            raise InputError(f"{path} is missing; {_REPAIR}") from None
        if len(png) != line["length"] or hashlib.sha256(png).hexdigest() != line["sha256"]:
            raise InputError(f"{path} is damaged at sample {line['key']}; {_REPAIR}")
        return _decode(png, path, line["key"])

    def images(self, limit_bytes: int = LIMIT_BYTES) -> Images:
        """Return all images as uint8 (N, H, W, 3), an array if they fit `limit_bytes` and a lazy view of them if not.

        Raises InputError if they differ in size: here for an array, at the image in question for a view.
        """
        return images_of(self, limit_bytes)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _scan(path: Path) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                name = _MEMBER.fullmatch(member.name)
                file = tar.extractfile(member) if name and member.isreg() else None
                if name is None or file is None:
                    raise InputError(f"{path} holds '{member.name}', which no sample has; {_REPAIR}")
                found.setdefault(name[1], {}).update(_describe(member, name[2], file.read()))
    except (tarfile.TarError, EOFError, json.JSONDecodeError, UnicodeDecodeError):
        after = f" after sample {list(found)[-1]}" if found else ""
        raise InputError(f"{path} is damaged{after}; {_REPAIR}") from None
    for key, parts in found.items():
        if not {"length", "meta"} <= parts.keys() or "label" not in parts["meta"]:
            raise InputError(f"{path} lacks the image or the label of sample {key}; {_REPAIR}")
    return [{"key": key, "shard": path.name, **found[key]} for key in sorted(found)]


def _describe(member: tarfile.TarInfo, kind: str, data: bytes) -> dict[str, Any]:
    if len(data) != member.size:
        raise tarfile.ReadError("truncated")
    if kind == "json":
        return {"meta": json.loads(data)}
    sha256 = hashlib.sha256(data).hexdigest()
    return {"offset": member.offset_data, "length": member.size, "sha256": sha256}


def _decode(png: bytes, path: Path, key: str) -> np.ndarray:
    try:
        return np.array(Image.open(io.BytesIO(png)).convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError):
        raise InputError(f"{path} holds an unreadable image at sample {key}; {_REPAIR}") from None
