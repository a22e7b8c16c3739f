"""Square roots on the CPU that are correctly rounded, and so the same on every processor.

torch takes them from MKL, whose pinned kernels refine the processor's own approximation of a reciprocal root (RSQRTPS);
AMD and Intel tabulate it differently, and one float in five ends in another last digit. numpy's are IEEE 754's.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

_REAL = (torch.float32, torch.float64)
_kernels = torch.library.Library("aten", "IMPL")  # for as long as the process lives
_replaced: set[str] = set()


def use_exact_square_roots() -> None:
    """Give torch.sqrt, and powers of one half, numpy's roots of floats and doubles on the CPU, in this process."""
    for name in ("sqrt", "sqrt_", "sqrt.out"):
        _replace(name, lambda: True)
    for name in ("pow.Tensor_Scalar", "pow_.Scalar", "pow.Tensor_Scalar_out"):
        _replace(name, lambda exponent: bool(exponent == 0.5))


def _replace(name: str, is_root: Callable[..., bool]) -> None:
    if name in _replaced:
        return
    own = torch.library.get_kernel(f"aten::{name}", "CPU")

    def kernel(keys: Any, x: Tensor, *exponent: Any, **out: Tensor) -> Any:
        if x.dtype not in _REAL or not is_root(*exponent):
            return own.call_boxed(keys, x, *exponent, **out)
        root = torch.empty_like(x, requires_grad=False)
        with np.errstate(invalid="ignore"):  # NaN for a negative, as torch has it
            np.sqrt(x.detach().numpy(), out=root.numpy())
        if "_" in name.split(".")[0]:
            return x.copy_(root)
        return out["out"].resize_(root.shape).copy_(root) if out else root

    _kernels.impl(name, kernel, "CPU", with_keyset=True)
    _replaced.add(name)
