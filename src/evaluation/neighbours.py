"""How far each point's k-th nearest other is, from blocks of bounds of distances (`src.evaluation.distances`)."""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from src.data.grouping import whole_runs
from src.evaluation.distances import Block, Points, where
from src.evaluation.rounding_bounds import RoundingBound

ENOUGH = 0.9  # share of rows that a bound must make sure of: the others cost twice, for want of symmetry


def radii(x: Points, k: int, chunk: int, bounds: Sequence[RoundingBound]) -> Tensor:
    """Squared distance (N,), float64 and scaled, of each point to its k-th nearest other; 0 < k < N.

    chunk: rows and columns of a block. Rows that one bound leaves open are done again in the next.
    """
    n, parts = len(x.features), whole_runs(len(x.features), chunk)
    distances = torch.empty(n, dtype=torch.float64, device=x.device)
    todo = torch.arange(n, device=x.device)
    for bound in bounds:
        last = bound is bounds[-1]
        nearest = Nearest(x, todo, k, bound)
        if len(todo) == n:
            if not _all(nearest, parts, least=0 if last else ENOUGH * n):
                continue
        else:
            _some(nearest, parts)
        done = nearest.sure() | last
        distances[todo[done]] = nearest.kth(done)
        todo = todo[~done]
    return distances


class Nearest:
    """For some rows of a set: the others with the smallest lower bounds of their distances, in order.

    low, column: (n, more than k), the bounds and whose they are.
    """

    def __init__(self, x: Points, rows: Tensor, k: int, bound: RoundingBound) -> None:
        self.x, self.rows, self.k, self.bound = x, rows, k, bound
        shape = len(rows), min(2 * k + 10, len(x.features) - 1)
        self.low = torch.full(shape, torch.inf, dtype=torch.float64, device=x.device)
        self.column = torch.zeros(shape, dtype=torch.int64, device=x.device)

    def take(self, part: slice, low: Tensor, first: int) -> None:
        """Take up a block of bounds of rows[part], whose columns begin with number `first`."""
        known, kept = self.low[part], self.low.shape[1]
        if torch.isfinite(known[:, -1]).all():
            values, index = _packed(low, known[:, -1:])
        else:
            values, index = low.topk(min(kept, low.shape[1]), largest=False)
        values, index = torch.cat([known, values], 1), torch.cat([self.column[part], index + first], 1)
        self.low[part], order = values.topk(kept, largest=False, sorted=True)
        self.column[part] = index.gather(1, order)

    def _high(self) -> Tensor:
        return self.bound.upper(self.low, self.x.squares[self.rows, None] + self.x.squares[self.column])

    def sure(self) -> Tensor:
        """Which rows (n,) have their k-th nearest among the kept ones, whatever the errors within their bounds."""
        most = self._high().sort(1).values[:, self.k - 1]
        return (self.low[:, -1] >= most) | (self.low.shape[1] == len(self.x.features) - 1)

    def kth(self, done: Tensor) -> Tensor:
        """The k-th smallest squared distance of the rows where `done`, in float64."""
        low, column, high, rows = self.low[done], self.column[done], self._high()[done], self.rows[done]
        least, most = low[:, self.k - 1 : self.k], high.sort(1).values[:, self.k - 1 : self.k]
        possible = (low <= most) & (high >= least)  # to be the k-th; those below `least` are surely nearer
        exact = torch.full_like(low, torch.inf)
        i, j = possible.nonzero(as_tuple=True)
        exact[i, j] = self.x.distances(rows[i], self.x, column[i, j])
        rank = self.k - 1 - (high < least).sum(1, keepdim=True)
        return exact.sort(1).values.gather(1, rank)[:, 0]


def _all(nearest: Nearest, parts: Sequence[slice], least: float) -> bool:
    """Fill `nearest` for all rows; or give up, False, if the blocks on the diagonal make fewer than `least` sure."""
    x, bounds = nearest.x, [nearest.bound]
    for rows in parts:
        low = Block(x, rows, x, rows, bounds).low
        nearest.take(rows, low.fill_diagonal_(torch.inf), rows.start)  # an image is no neighbour of itself
    if nearest.sure().sum() < least:
        return False
    for rows, columns in combinations(parts, 2):  # distances are symmetric: one block serves both sides
        low = Block(x, rows, x, columns, bounds).low
        nearest.take(rows, low, columns.start)
        nearest.take(columns, low.T, rows.start)
    return True


def _some(nearest: Nearest, columns: Sequence[slice]) -> None:
    """Fill `nearest` for its rows."""
    x = nearest.x
    for part in whole_runs(len(nearest.rows), columns[0].stop):
        rows = nearest.rows[part]
        for column in columns:
            low = Block(x, rows, x, column, [nearest.bound]).low
            own = torch.arange(column.start, column.stop, device=x.device) == rows[:, None]
            nearest.take(part, low.masked_fill_(own, torch.inf), column.start)


def _packed(low: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
    """Each row's values below its limit, moved to the left and padded with infinity, and their columns."""
    i, j = where((low < limit.to(low.dtype)).contiguous())
    count = torch.bincount(i, minlength=len(low))
    slot = torch.arange(len(i), device=low.device) - (count.cumsum(0) - count)[i]
    values = low.new_full((len(low), int(count.max())), torch.inf)
    index = torch.zeros_like(values, dtype=torch.int64)
    values[i, slot], index[i, slot] = low[i, j], j
    return values, index
