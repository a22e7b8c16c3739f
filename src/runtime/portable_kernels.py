"""Two of torch's operations on the CPU replaced, so that every processor gives the same bytes, and soon.

Square roots: torch takes them from MKL, whose pinned kernels refine the processor's own approximation of a reciprocal
root (RSQRTPS); AMD and Intel tabulate it differently, and one float in five ends in another last digit. numpy's are
correctly rounded.

Matrix products of floats: in the one mode in which AMD and Intel agree MKL leaves a quarter of its speed. A product
A B is a convolution with kernels of one pixel, which oneDNN's AVX2 code sums in the same order on every processor.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

LEAST_NUMBERS = 20480
"""In A: with fewer torch takes no convolution of a single image to oneDNN."""
LEAST_ROWS, LEAST_COLUMNS, MOST_TERMS = 256, 16, 2048

_REAL = (torch.float32, torch.float64)
_library = torch.library.Library("aten", "IMPL")  # for as long as the process lives
_replaced: set[str] = set()


def use_portable_kernels() -> None:
    """Replace, on the CPU of this process, roots of floats and doubles and products of large matrices of floats."""
    for name in ("sqrt", "sqrt_", "sqrt.out"):
        _replace(name, _root, lambda x, out=None: x.dtype in _REAL)
    for name in ("pow.Tensor_Scalar", "pow_.Scalar", "pow.Tensor_Scalar_out"):
        _replace(name, _root, lambda x, exponent, out=None: x.dtype in _REAL and exponent == 0.5)
    _replace("mm", lambda name, a, b: _product(a, b), _suits)
    _replace("addmm", lambda name, bias, a, b: _product(a, b, bias), _suits_with_bias)


def _replace(name: str, kernel: Callable[..., Tensor], suits: Callable[..., bool]) -> None:
    if name in _replaced:
        return
    own = torch.library.get_kernel(f"aten::{name}", "CPU")

    def replaced(keys: Any, *arguments: Any, **more: Any) -> Tensor:
        if suits(*arguments, **more):
            return kernel(name, *arguments, **more)
        return own.call_boxed(keys, *arguments, **more)

    _library.impl(name, replaced, "CPU", with_keyset=True)
    _replaced.add(name)


def _root(name: str, x: Tensor, exponent: float = 0.5, out: Tensor | None = None) -> Tensor:
    root = torch.empty_like(x, requires_grad=False)
    with np.errstate(invalid="ignore"):  # NaN for a negative, as torch has it
        np.sqrt(x.detach().numpy(), out=root.numpy())
    if out is not None:
        return out.resize_(root.shape).copy_(root)
    return x.copy_(root) if "_" in name.split(".")[0] else root


def _suits(a: Tensor, b: Tensor) -> bool:
    (rows, terms), columns = a.shape, b.shape[1]
    large = a.numel() > LEAST_NUMBERS and rows >= LEAST_ROWS and columns >= LEAST_COLUMNS and terms <= MOST_TERMS
    return large and a.dtype == b.dtype == torch.float32 and a.is_contiguous() and terms == b.shape[0]


def _suits_with_bias(bias: Tensor, a: Tensor, b: Tensor, beta: float = 1, alpha: float = 1) -> bool:
    return beta == alpha == 1 and bias.dtype == a.dtype and bias.shape == b.shape[1:] and _suits(a, b)


def _product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """A (m, k) times B (k, n): an image of m pixels in k channels, as the channels-last view of A."""
    (m, k), n = a.shape, b.shape[1]
    image, kernels = a.detach().view(1, 1, m, k).permute(0, 3, 1, 2), b.detach().t().reshape(n, k, 1, 1)
    out = torch.conv2d(image, kernels, None if bias is None else bias.detach())
    return out.permute(0, 2, 3, 1).reshape(m, n)
