"""Randomness with an address: every generator's seed is a hash of what it is for.

A draw then depends on its purpose (run seed, class, index) alone, not on order, batch size or machine.
"""

import hashlib
import json
import operator
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from src.runtime.arithmetic import arithmetic
from src.runtime.portable_kernels import use_portable_kernels

if arithmetic() == "pinned":  # here, for whatever computes with torch has its seeds from here
    use_portable_kernels()


def derive(*parts: int | str) -> int:
    """Return a 63-bit integer from the parts, the same on every machine; 1 and "1" are different parts.

    Raises TypeError for a part that is neither an integer nor a string: a float's text is not stable enough.
    """
    address = f"[{', '.join(map(_json, parts))}]"
    return int.from_bytes(hashlib.sha256(address.encode()).digest()[:8], "big") >> 1


def torch_generator(*parts: int | str) -> torch.Generator:
    """Return a CPU generator seeded with `derive(*parts)`."""
    return torch.Generator().manual_seed(derive(*parts))


def numpy_generator(*parts: int | str) -> np.random.Generator:
    """Return a numpy generator seeded with `derive(*parts)`."""
    return np.random.default_rng(derive(*parts))


@contextmanager
def torch_seeded(seed: int) -> Iterator[None]:
    """Within it torch's own CPU generator, from which new layers draw their weights, starts at `seed`; then as before.

    Not torch.manual_seed: that would also seed every GPU, which `fork_rng` of the CPU does not restore.
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield


@contextmanager
def deterministic() -> Iterator[None]:
    """Choose deterministic algorithms where there are any, and restore the setting afterwards."""
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)


def _json(part: int | str) -> str:
    """The part as JSON; a plain integer, which most are, without the encoder, whose start costs more than the hash."""
    if type(part) is int:
        return str(part)
    return json.dumps(part if isinstance(part, str) else operator.index(part))
