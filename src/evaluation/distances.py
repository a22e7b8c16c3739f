"""Which squared distances lie below a limit: decided by a fast matrix product where it can, in float64 where not.

All distances of two sets are one product, half as dear in float32 as in float64. Its rounding error is bounded
(Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), so it gives each distance a lower and an upper
bound; where a limit lies between them, the sum of squared differences in float64 decides. Decisions are therefore those
of float64, whatever the products, the blocks or the machine.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from src.data.grouping import whole_runs
from src.evaluation.rounding_bounds import RoundingBound, rounding_bounds

ROWS = 256  # of features scaled and centred, and
PAIRS = 128  # of features subtracted in float64: what fits a core's cache at the usual widths
MANY = 1 / 256  # share of a block's pairs left undecided from which a finer product is cheaper than float64 pairs
LARGE = 1e30  # features whose squares leave room in float64

Part = slice | Tensor


class Points:
    """Features (N, D) as they are, and on the device scaled and centred for products, float32.

    squares: squared norms (N,) of the scaled and centred features, summed in float32.
    """

    def __init__(self, features: np.ndarray, scale: float, centre: np.ndarray, device: torch.device) -> None:
        """features: finite, float32 or float64. scale: a power of two. centre: (D,) float32, of scaled features."""
        self.features, self.scale, self.device = features, scale, device
        self.centre = torch.from_numpy(centre).to(device)
        kept = [self._made(part, torch.float32) for part in whole_runs(len(features), ROWS)]
        self.kept, self.squares = torch.cat(kept), torch.cat([torch.linalg.vecdot(x, x) for x in kept]).double()

    def rows(self, part: Part, dtype: torch.dtype) -> Tensor:
        """Scaled and centred features (n, D)."""
        return self.kept[part] if dtype == torch.float32 else self._made(part, dtype)

    def _made(self, part: Part, dtype: torch.dtype) -> Tensor:
        index = part if isinstance(part, slice) else part.cpu().numpy()
        x = torch.from_numpy(np.require(self.features[index], requirements=["C", "W"])).to(self.device)
        x = x.double() if dtype == torch.float64 else x
        return (x * self.scale).sub_(self.centre).to(dtype)

    def distances(self, i: Tensor, other: "Points", j: Tensor) -> Tensor:
        """Squared distances (n,), float64 and scaled, of row i[k] and the other's row j[k]."""
        squares = np.empty(len(i))
        i_, j_ = i.cpu().numpy(), j.cpu().numpy()

        def fill(part: slice) -> None:
            x, y = self.features.take(i_[part], 0), other.features.take(j_[part], 0)
            difference = np.subtract(x, y, dtype=np.float64)
            np.einsum("nd,nd->n", difference, difference, out=squares[part])

        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            list(threads.map(fill, whole_runs(len(i), PAIRS)))
        return torch.from_numpy(squares * self.scale**2).to(self.device)


class Block:
    """Lower bounds `low` (n, m) of the squared distances between some rows of one set and some of another.

    bounds: that of the product, then finer ones.
    """

    def __init__(self, a: Points, rows: Part, b: Points, columns: slice, bounds: Sequence[RoundingBound]) -> None:
        self.a, self.rows, self.b, self.columns = a, rows, b, columns
        self._compute(bounds)

    def _compute(self, bounds: Sequence[RoundingBound]) -> None:
        self.bounds, dtype = bounds, bounds[0].dtype
        x, y = self.a.rows(self.rows, dtype), self.b.rows(self.columns, dtype)
        self.squares = self.a.squares[self.rows], self.b.squares[self.columns]
        if dtype == torch.float64:  # those of the points are float32 sums
            self.squares = torch.linalg.vecdot(x, x), torch.linalg.vecdot(y, y)
        self.low = bounds[0].lower(x @ y.T, *self.squares)

    def below(self, limit: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and columns, counted from the block's corner, of all pairs whose squared distance is below the limit.

        limit: (n, 1) or (1, m), float64, in scaled coordinates; nothing is below 0. If too many pairs are
        left open, the block is computed again, and stays, in the next finer precision.
        """
        limit = torch.where(limit > 0, limit, -torch.inf)
        i, j = where(self.low < limit.to(self.low.dtype))
        limits = limit.expand(self.low.shape)[i, j]
        sums = self.squares[0][i] + self.squares[1][j]
        undecided = self.bounds[0].upper(self.low[i, j].double(), sums) >= limits
        if len(self.bounds) > 1 and undecided.sum() > MANY * self.low.numel():
            self._compute(self.bounds[1:])
            return self.below(limit)
        inside = ~undecided
        i_ = torch.arange(len(self.a.features), device=i.device)[self.rows][i[undecided]]
        exact = self.a.distances(i_, self.b, j[undecided] + self.columns.start)
        inside[undecided] = exact < limits[undecided]
        return i[inside], j[inside]


def points(real: np.ndarray, fake: np.ndarray, device: torch.device) -> tuple[Points, Points, Sequence[RoundingBound]]:
    """Both sets in common coordinates on the device, and the bounds to try, fastest first.

    real: (N, D), fake: (M, D), float32 or float64. ValueError for features that are not finite, or beyond 1e30.
    """
    largest = np.abs([(x.min(), x.max()) for x in (real, fake)]).max()
    if not largest < LARGE:
        raise ValueError(f"expected finite features (N, D), got {largest} in {real.shape} or {fake.shape}")
    scale = 2.0 ** -max(math.frexp(largest)[1], -100)
    sums = (real[part].sum(0, dtype=np.float64) * scale for part in whole_runs(len(real), ROWS))
    centre = (sum(sums) / len(real)).astype(np.float32)
    a, b = (Points(x, scale, centre, device) for x in (real, fake))
    return a, b, rounding_bounds(real.shape[1])


def where(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column numbers of the few true entries of (n, m), row by row."""
    if mask.device.type == "cpu":  # numpy passes over false ones six times as fast
        places = torch.from_numpy(np.flatnonzero(mask.numpy()))
        return places // mask.shape[1], places % mask.shape[1]
    i, j = mask.nonzero(as_tuple=True)
    return i, j
