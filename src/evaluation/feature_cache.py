"""Features kept between runs, under `.dvc/tmp/features` of the main repository.

An extractor is known by its name and by what it makes of fixed noise, which changes with its weights, its code and its
libraries alike, and by the arithmetic, of which two images of noise do not show all; images by their contents. A file
that does not fit its sha256 beside it is made again.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from src.classifiers.features import Extractor, feature_batches
from src.runtime import portable_kernels
from src.runtime.arithmetic import PINNED, arithmetic
from src.runtime.errors import InputError
from src.runtime.files import atomic_write, hash_file, writing
from src.shards.lazy_images import Images


def cached_features(name: str, extractor: Extractor, images: Images, batch: int = 256) -> np.ndarray:
    """Return the features of all images, in order: float32 (N, D), mapped from a file, computed if it is not there.

    images: uint8 (N, H, W, 3), N > 0. extractor: (B, 3, H, W) in [-1, 1] -> (B, D). InputError for features that are
    not finite.
    """
    root = Path(os.environ.get("DVC_ROOT") or Path.cwd())
    path = root / ".dvc" / "tmp" / "features" / f"{_key(name, extractor, images)}.npy"
    if not _whole(path):
        _write(path, name, feature_batches(extractor, images, torch.float32, batch, f"{name} features"), len(images))
    return np.load(path, mmap_mode="r")


def _key(name: str, extractor: Extractor, images: Images) -> str:
    noise = np.random.default_rng(0).integers(256, size=(2, *images.shape[1:]), dtype=np.uint8)
    (answer,) = feature_batches(extractor, noise, torch.float32)
    digest = hashlib.sha256(f"{name} {answer.dtype}{answer.shape} {images.shape}".encode())
    digest.update(np.ascontiguousarray(answer).tobytes())
    digest.update(json.dumps([arithmetic(), PINNED, hash_file(portable_kernels.__file__)]).encode())
    for start in range(0, len(images), 1024):
        digest.update(np.ascontiguousarray(images[start : start + 1024]).data)
    return digest.hexdigest()


def _write(path: Path, name: str, batches: Iterable[np.ndarray], count: int) -> None:
    with writing(path) as file:
        for number, rows in enumerate(batches):
            if not np.isfinite(rows).all():
                raise InputError(
                    f"the features in the space '{name}' hold NaN or infinity; check that network's weights"
                )
            if number == 0:
                header = {"descr": rows.dtype.str, "fortran_order": False, "shape": (count, rows.shape[1])}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(np.ascontiguousarray(rows).data)
    atomic_write(path.with_suffix(".sha256"), _digest(path).encode())


def _whole(path: Path) -> bool:
    try:
        return _digest(path) == path.with_suffix(".sha256").read_text()
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
