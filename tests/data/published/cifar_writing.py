"""CIFAR's files as they were published: fixed binary records, and pickles of Python 2."""

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Part = tuple[str, np.ndarray, np.ndarray]


def write_binary(folder: Path, parts: Sequence[Part], coarse: bool) -> None:
    """Parts (name, pixels uint8 (N, 3072), labels (N,)) as fixed records, with a coarse label before the fine one."""
    folder.mkdir(parents=True)
    for name, pixels, labels in parts:
        head = [labels // 2, labels] if coarse else [labels]
        records = np.concatenate([np.stack(head, axis=1).astype(np.uint8), pixels], axis=1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())


def write_pickled(folder: Path, parts: Sequence[Part], key: str, meta: str, names: Mapping[str, Any]) -> None:
    """Parts as pickled dictionaries with their labels under `key`, and the names in the file `meta`."""
    folder.mkdir(parents=True)
    for name, pixels, labels in parts:
        (folder / name).write_bytes(python2_pickle({"batch_label": name, key: labels.tolist(), "data": pixels}))
    (folder / meta).write_bytes(python2_pickle({"num_vis": 3072, **names}))


def python2_pickle(content: Mapping[str, Any]) -> bytes:
    """A dictionary of texts, numbers, lists of them and uint8 arrays, as Python 2 pickled it with the numpy of 2009."""
    body = b"".join(_opcodes(key) + _opcodes(value) for key, value in content.items())
    return b"\x80\x02}(" + body + b"u."


def _opcodes(value: Any) -> bytes:
    return _OPCODES[type(value)](value)


def _array(value: np.ndarray) -> bytes:
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    data = b"T" + struct.pack("<i", value.nbytes) + value.tobytes()
    shape = b"(" + b"".join(map(_opcodes, value.shape)) + b"t"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01"
        + shape
        + dtype
        + b"\x89"
        + data
        + b"tb"
    )


_OPCODES: dict[type, Callable[[Any], bytes]] = {
    int: lambda value: b"J" + struct.pack("<i", value),
    str: lambda value: b"U" + bytes([len(value)]) + value.encode("latin1"),
    list: lambda value: b"](" + b"".join(map(_opcodes, value)) + b"e",
    np.ndarray: _array,
}
