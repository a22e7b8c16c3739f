"""CIFAR's on-disk formats (Krizhevsky, 2009): binary, and pickled batches opened with nothing but stand-ins allowed.

A pickle may call any function that it names, so an unknown one is a program. The batches need five names; every other
is refused, and numpy's own four are not the real ones, which take a pickle's word for where an array's memory lies.
"""

import io
import pickle
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from src.data.image_files import below
from src.runtime.errors import InputError

Batch = tuple[np.ndarray, np.ndarray]

PIXELS = 3 * 32 * 32


class _Kind:
    """Stands for an array's number format, by the name that the pickle gives it."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like, of which single bytes have none."""


class _Array:
    """Stands for an array: what the pickle says of it, until it is known to be bytes in a shape."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def read(self) -> np.ndarray:
        """uint8, read-only. Raises ValueError for another number format or a shape that the bytes do not fill."""
        _, shape, kind, by_columns, data = self.state
        if not isinstance(kind, _Kind) or kind.name not in ("u1", "|u1", "uint8"):
            raise ValueError("an array is not of bytes")
        data = data.encode("latin1") if isinstance(data, str) else data  # text, as Python 2 had it
        return np.frombuffer(data, np.uint8).reshape(shape, order="F" if by_columns else "C")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): lambda text, _encoding: text.encode("latin1"),
}


@dataclass(frozen=True)
class Layout:
    """One format of one CIFAR. names: the bytes of `names_file` to class names; batch: a file's bytes to its images,
    uint8 (N, 3, 32, 32), and labels, int64 (N,). Both raise ValueError for bytes that are something else."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names_file: str
    names: Callable[[bytes], list[str]]
    batch: Callable[[bytes], Batch]


def read_cifar(root: Path, layouts: tuple[Layout, ...]) -> tuple[Batch, Batch, tuple[str, ...]] | None:
    """The data below `root` in the first layout whose folder is there, None if none is: the official training and test
    images, uint8 (N, 32, 32, 3), with labels, int64 (N,); class names by label.

    Raises InputError naming a file that is missing, damaged, asks for more than numpy, or is a link out of `root`.
    """
    for layout in layouts:
        folder = below(root, layout.folder)
        if folder.is_dir():
            names = _read(root, f"{layout.folder}/{layout.names_file}", layout.names)
            train, test = (
                _join([_read(root, f"{layout.folder}/{file}", layout.batch) for file in files], folder, len(names))
                for files in (layout.train, layout.test)
            )
            return train, test, tuple(name.replace("_", " ") for name in names)
    return None


def unpickle(data: bytes) -> dict[str, Any]:
    """The dictionary of a pickled batch; ValueError if it is damaged or names anything but arrays of bytes."""
    try:
        _check_memo(data)
        content = _Unpickler(io.BytesIO(data), encoding="latin1").load()
        if isinstance(content, dict):
            return {key: value.read() if isinstance(value, _Array) else value for key, value in content.items()}
    except Exception as error:  # damaged bytes can fail in any opcode, with whatever that raises
        raise ValueError(str(error) or type(error).__name__) from None
    raise ValueError("it holds no dictionary")


def _check_memo(data: bytes) -> None:
    """ValueError if the pickle numbers its objects beyond its own length: Python would make room for all of them."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name.endswith("PUT") and isinstance(argument, int) and argument > len(data):
            raise ValueError("it asks for more memory than it can need")


def pickled_batch(key: str, data: bytes) -> Batch:
    """Images and labels of a pickled batch whose labels have this key: `labels`, or `fine_labels`."""
    content = unpickle(data)
    pixels, labels = content.get("data"), content.get(key)
    if not isinstance(pixels, np.ndarray) or not isinstance(labels, list) or pixels.dtype != np.uint8:
        raise ValueError(f"it holds no `data` and `{key}`")
    if pixels.shape != (len(labels), PIXELS):
        raise ValueError(f"its `data` is {pixels.shape}, not {(len(labels), PIXELS)}")
    if not all(isinstance(label, int) for label in labels):
        raise ValueError("a label is no whole number")
    try:
        return pixels.reshape(-1, 3, 32, 32), np.array(labels, np.int64)
    except OverflowError:
        raise ValueError("a label has more than 63 bits") from None


def binary_batch(label_bytes: int, data: bytes) -> Batch:
    """Images and labels of a binary batch: each image after so many bytes of labels, the last one the fine label."""
    length = label_bytes + PIXELS
    if len(data) % length:
        raise ValueError(f"its {len(data)} bytes are no whole number of {length}-byte images")
    records = np.frombuffer(data, np.uint8).reshape(-1, length)
    return records[:, label_bytes:].reshape(-1, 3, 32, 32), records[:, label_bytes - 1].astype(np.int64)


def pickled_names(key: str, data: bytes) -> list[str]:
    """The class names under this key of the pickled `meta`."""
    names = unpickle(data).get(key)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"it holds no list `{key}`")
    return names


def text_names(data: bytes) -> list[str]:
    """The class names of the binary version: a line each."""
    if not (names := data.decode("utf-8").split()):
        raise ValueError("it holds no names")
    return names


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR file needs")
        return _ALLOWED[module, name]


def _read(root: Path, file: str, parse: Callable[[bytes], Any]) -> Any:
    path = below(root, file)
    try:
        return parse(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{path} is missing; unpack the archive again") from None
    except ValueError as error:
        raise InputError(f"{path} is no CIFAR file ({error}); unpack the archive again") from None


def _join(batches: list[Batch], folder: Path, classes: int) -> Batch:
    images = np.concatenate([images for images, _ in batches]).transpose(0, 2, 3, 1)
    labels = np.concatenate([labels for _, labels in batches])
    if set(labels.tolist()) != set(range(classes)):
        raise InputError(f"{folder} has labels that do not fit its {classes} class names; unpack the archive again")
    return images, labels


_TEN = tuple(f"data_batch_{k}" for k in range(1, 6))
_TEN_BIN = tuple(f"{name}.bin" for name in _TEN)
_LABELS, _FINE = (partial(pickled_batch, key) for key in ("labels", "fine_labels"))
_LABEL_NAMES, _FINE_NAMES = (partial(pickled_names, key) for key in ("label_names", "fine_label_names"))
_BINARY, _BINARY_FINE = (partial(binary_batch, label_bytes) for label_bytes in (1, 2))
CIFAR10 = (
    Layout("cifar-10-batches-py", _TEN, ("test_batch",), "batches.meta", _LABEL_NAMES, _LABELS),
    Layout("cifar-10-batches-bin", _TEN_BIN, ("test_batch.bin",), "batches.meta.txt", text_names, _BINARY),
)
CIFAR100 = (
    Layout("cifar-100-python", ("train",), ("test",), "meta", _FINE_NAMES, _FINE),
    Layout("cifar-100-binary", ("train.bin",), ("test.bin",), "fine_label_names.txt", text_names, _BINARY_FINE),
)
