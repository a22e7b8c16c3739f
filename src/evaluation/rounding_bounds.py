"""How far squared distances from matrix products can be wrong, by the number format of the products.

The rounding error of a sum of D products is at most D units of roundoff of the sum of their magnitudes, in any order
(Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

TINY = 1e-30  # what is lost when float32 squares underflow, in coordinates scaled to [-2, 2]


@dataclass(frozen=True)
class RoundingBound:
    """One kind of product: |x-y|^2 lies within `norms` (|x|^2 + |y|^2) of |x|^2 + |y|^2 - 2 x.y as computed."""

    dtype: torch.dtype
    norms: float

    def lower(self, products: Tensor, of_rows: Tensor, of_columns: Tensor) -> Tensor:
        """Lower bounds (n, m) of squared distances. products: x.y (n, m), overwritten; squared norms: (n,), (m,)."""
        low = products.mul_(-2)
        for squares in (of_rows[:, None], of_columns):
            low.add_((squares * (1 - self.norms) - TINY).to(low.dtype))
        return low

    def upper(self, low: Tensor, sums: Tensor) -> Tensor:
        """The upper bounds that belong to lower ones. sums: |x|^2 + |y|^2 of each pair. Float64, any shape."""
        return low + 2 * self.norms * sums + 4 * TINY


def rounding_bounds(dimensions: int) -> Sequence[RoundingBound]:
    """Bounds of the errors of products in float32 and in float64."""
    single, double = (torch.finfo(dtype).eps / 2 for dtype in (torch.float32, torch.float64))
    return [
        RoundingBound(torch.float32, (2 * dimensions + 64) * single),  # squared norms and products are sums of D terms
        RoundingBound(torch.float64, (dimensions + 64) * double),
    ]


@contextmanager
def full_precision() -> Iterator[None]:
    """Products of float32 numbers in float32, not in tf32 (GPU) or bfloat16 (CPU), which the bounds do not cover."""
    backends = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision
