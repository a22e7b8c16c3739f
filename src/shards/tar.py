"""A shard's bytes: a tar of the WebDataset layout, `00000012.png` (or `.jpg`) before `00000012.json`, and its reading.

Headers are made and parsed one by one with tarfile's TarInfo rather than with TarFile, which follows long names,
sparse files and PAX headers that a shard never holds.
"""

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from src.runtime.errors import InputError
from src.shards.codec import MOST_BYTES, SUFFIXES, suffix_of

REPAIR = "run `make repair`"
GET = "run `dvc checkout` or `dvc repro`"
META_BYTES = 2**20  # of one sample's JSON
CLASSES = 2**20  # labels and contexts are below; counting them makes room for every number up to the largest

KEY = r"[0-9]{8}|[1-9][0-9]{8,14}"  # one spelling per number
_MEMBER = re.compile(rf"({KEY})\.(png|jpg|json)")
_BLOCK = tarfile.BLOCKSIZE
_FORMATS = {suffix: name for name, suffix in SUFFIXES.items()}


def spelled(key: int) -> str:
    """A sample's key as members and messages show it."""
    return f"{key:08d}"


def pack(first: int, samples: Sequence[tuple[bytes, dict[str, Any]]], image_format: str) -> bytes:
    """The tar of encoded images and what is known of each, under keys first, first + 1, ..."""
    suffix, parts = suffix_of(image_format), []
    for key, (image, meta) in enumerate(samples, first):
        if not has_label(meta):
            raise ValueError(f"sample {key} must be an image with a label from 0 to {CLASSES - 1}")
        about = json.dumps(meta, sort_keys=True, allow_nan=False).encode()
        if len(image) > MOST_BYTES or len(about) > META_BYTES:
            raise ValueError(f"sample {key} is larger than any that is read back")
        parts += [header(f"{spelled(key)}.{suffix}", len(image)), image, *meta_member(key, about, len(image))]
    return b"".join([*parts, end(sum(map(len, parts)))])


def header(name: str, size: int) -> bytes:
    """The block before a member's bytes: TarInfo's defaults hold no time, owner or machine."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def meta_member(key: int, about: bytes, image_bytes: int) -> tuple[bytes, ...]:
    """What follows an image of so many bytes: the rest of its block, and the sample's JSON."""
    return _padding(image_bytes), header(f"{spelled(key)}.json", len(about)), about, _padding(len(about))


def end(size: int) -> bytes:
    """What follows the last member of a tar of `size` bytes: two empty blocks, and the rest of a record."""
    return bytes(2 * _BLOCK + -(size + 2 * _BLOCK) % tarfile.RECORDSIZE)


def has_label(meta: Any) -> bool:
    """Whether a sample's JSON is a mapping with an integer label, and an integer context if any."""
    if not isinstance(meta, dict):
        return False
    label, context = meta.get("label"), meta.get("context")
    return all(type(n) is int and 0 <= n < CLASSES for n in (label, 0 if context is None else context))


def parse(text: bytes) -> Any:
    """The JSON value of `text`; ValueError if it is none, holds NaN, or is nested too deeply."""
    plain = text.decode().strip()
    try:
        value, length = _decode(plain)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if length != len(plain):
        raise ValueError("more than one value")
    return value


def _refuse(word: str) -> None:
    raise ValueError(f"JSON has no {word}")


_decode = json.JSONDecoder(parse_constant=_refuse).raw_decode


def scan(path: Path) -> list[dict[str, Any]]:
    """The index lines of one shard, in order of their keys, from the tar alone.

    Raises InputError, naming the shard and where possible the sample, unless it holds whole samples and nothing else.
    """
    samples: dict[int, dict[str, Any]] = {}
    try:
        with open(path, "rb") as file:
            for key, suffix, size in _members(file, path):
                sample, part = samples.setdefault(key, {}), _describe(suffix, file.tell(), file.read(size))
                if part.keys() & sample.keys():
                    raise InputError(f"{path} holds sample {spelled(key)} twice; {REPAIR}")
                sample.update(part)
    except InputError:
        raise
    except (tarfile.TarError, ValueError):
        after = f" after sample {spelled(list(samples)[-1])}" if samples else ""
        raise InputError(f"{path} is damaged{after}; {REPAIR}") from None
    for key, sample in samples.items():
        if "length" not in sample or not has_label(sample.get("meta")):
            raise InputError(f"{path} lacks the image or the label of sample {spelled(key)}; {REPAIR}")
    return [{"key": spelled(key), "shard": path.name, **samples[key]} for key in sorted(samples)]


def _members(file: BinaryIO, path: Path) -> Iterator[tuple[int, str, int]]:
    """Key, suffix and size of each member, with the file at its first byte."""
    total, position = os.fstat(file.fileno()).st_size, 0
    while (block := file.read(_BLOCK)) != bytes(_BLOCK):
        info = tarfile.TarInfo.frombuf(block, "ascii", "backslashreplace")
        name = _MEMBER.fullmatch(info.name)
        # Links, devices and folders have other types, and so have the headers that announce a long name or a PAX field.
        if name is None or info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise InputError(f"{path} holds {info.name!r}, which no sample has; {REPAIR}")
        position += _BLOCK
        if not 0 <= info.size <= total - position:
            raise tarfile.ReadError("the member reaches beyond the file")
        if info.size > (META_BYTES if name[2] == "json" else MOST_BYTES):
            raise InputError(f"{path} holds {info.size} bytes as {info.name!r}, more than any sample; {REPAIR}")
        yield int(name[1]), name[2], info.size
        position += info.size + -info.size % _BLOCK
        file.seek(position)


def _describe(suffix: str, offset: int, data: bytes) -> dict[str, Any]:
    if suffix == "json":
        return {"meta": parse(data)}
    image = {"offset": offset, "length": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return image if suffix == "png" else {**image, "format": _FORMATS[suffix]}


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
