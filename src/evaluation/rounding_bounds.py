"""How far squared distances from matrix products can be wrong, by the number format of the products.

The rounding error of a sum of D products is at most D units of roundoff of the sum of their magnitudes, in any order
(Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

WIDE = 512  # dimensions from which bfloat16 saves more than its wider bounds cost
TINY = 1e-30  # what is lost when float32 squares underflow, in coordinates scaled to [-2, 2]


@dataclass(frozen=True)
class RoundingBound:
    """One kind of product, and how far its squared distances can be wrong.

    |x-y|^2 lies within `norms` (|x|^2 + |y|^2) + `product` |2 x.y| of |x|^2 + |y|^2 - 2 x.y as computed.
    """

    dtype: torch.dtype
    norms: float
    product: float = 0.0

    def lower(self, products: Tensor, of_rows: Tensor, of_columns: Tensor) -> Tensor:
        """Lower bounds (n, m) of squared distances. products: x.y (n, m), overwritten; squared norms: (n,), (m,)."""
        low = products.to(torch.promote_types(self.dtype, torch.float32)).mul_(-2)
        if self.product:
            low.sub_(low.abs(), alpha=self.product)
        for squares in (of_rows[:, None], of_columns):
            low.add_((squares * (1 - self.norms) - TINY).to(low.dtype))
        return low

    def upper(self, low: Tensor, sums: Tensor) -> Tensor:
        """The upper bounds that belong to lower ones. sums: |x|^2 + |y|^2 of each pair. Float64, any shape."""
        twice = ((1 - self.norms) * sums - low).abs()  # at least (1 - product) |2 x.y|
        return low + 2 * self.norms * sums + 2 * self.product / (1 - self.product) * twice + 4 * TINY


def rounding_bounds(dimensions: int, fast: torch.dtype, rounding: float) -> Sequence[RoundingBound]:
    """Bounds of the errors of products in `fast` and in all finer ones.

    rounding: how far rows in `fast` are rounded, relative to their length. The sums of bfloat16 products are in
    float32; only inputs and results are rounded to bfloat16.
    """
    unit = {dtype: torch.finfo(dtype).eps / 2 for dtype in (torch.bfloat16, torch.float32, torch.float64)}
    single = (2 * dimensions + 64) * unit[torch.float32]  # squared norms and products are sums of D terms
    ladder = [
        RoundingBound(torch.float32, single),
        RoundingBound(torch.float64, (dimensions + 64) * unit[torch.float64]),
    ]
    if fast == torch.bfloat16:
        inputs = 1.01 * rounding * (2 + rounding)  # x'.y' - x.y, by Cauchy and Schwarz
        ladder.insert(0, RoundingBound(fast, inputs + single, 1.01 * unit[fast]))
    return ladder


def fast_dtype(dimensions: int, device: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies it faster than float32 and features are wide, else float32."""
    known = torch.cpu.get_capabilities()
    fast = any(known.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return torch.bfloat16 if device.type == "cpu" and fast and dimensions >= WIDE else torch.float32


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
