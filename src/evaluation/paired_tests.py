"""Two classifiers on the same test images: is the difference of their accuracies more than the draw of the images?

Exact test of McNemar (1947) with the correction of Holm (1979) for many classes, the interval of Agresti and Min
(Statistics in Medicine 24, 2005) for one class, and for everything made of several the posterior under Jeffreys' prior.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from src.runtime.seeds import numpy_generator

LEVEL = 0.95
DRAWS = 4000
PRIOR = 0.5  # image added to each outcome, as for one class


def outcomes(before: np.ndarray, after: np.ndarray, strata: np.ndarray, count: int) -> np.ndarray:
    """Return how many images of each stratum are right (both, before only, after only, never), integers (count, 4).

    before, after: (N,) bool, whether each image is classified rightly. strata: (N,) integers 0 .. count - 1.
    """
    kind = 2 * ~before + ~after
    return np.bincount(4 * strata + kind, minlength=4 * count).reshape(count, 4)


def p_value(lost: int, gained: int) -> float:
    """Return the two-sided p of McNemar's exact test: of lost + gained changed images, half should be gained."""
    return float(stats.binomtest(gained, lost + gained).pvalue) if lost + gained else 1.0


def interval(lost: int, gained: int, images: int) -> tuple[float, float]:
    """Return the 95 % interval of the difference of accuracies, within [-1, 1]; half an image added to each outcome.

    Unlike Wald's or the bootstrap's, it keeps its width where few images change.
    """
    n = images + 2
    middle = (gained - lost) / n
    half = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt(lost + gained + 1 - (gained - lost) ** 2 / n) / n
    return float(max(middle - half, -1)), float(min(middle + half, 1))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Return which of the tests hold together, (K,) bool: the chance of any false one among them is at most 5 %."""
    order = np.argsort(p_values)
    holds = np.asarray(p_values)[order] * np.arange(len(order), 0, -1) <= 1 - LEVEL
    together = np.zeros(len(order), dtype=bool)
    together[order] = np.logical_and.accumulate(holds)
    return together


def changes_needed(tests: int) -> int:
    """Return the fewest images that must change, all one way, for the clearest of so many tests to hold."""
    # p = 2 (1/2)^changes, against 5 % over the number of tests
    return int(np.ceil(np.log2(2 * tests / (1 - LEVEL))))


def posterior_interval(
    table: np.ndarray, measure: Callable[[np.ndarray], np.ndarray], purpose: str
) -> tuple[float, float]:
    """Return the 95 % credible interval of measure(after) - measure(before), widened to what was observed.

    Every stratum's chances of the four outcomes are Dirichlet with Jeffreys' prior, so that a stratum of one image is
    uncertain. A bootstrap within strata takes it for certain, and calls equally good classifiers different in most
    draws of a long tail with one test image a class.

    table: `outcomes`, every stratum with an image. measure: accuracies (R, K) to (R,). purpose: addresses the draws.
    """
    before, after = np.empty((2, DRAWS, len(table)))
    for k, row in enumerate(table):
        drawn = numpy_generator("posterior", purpose, k).dirichlet(row + PRIOR, DRAWS)
        before[:, k], after[:, k] = drawn[:, 0] + drawn[:, 1], drawn[:, 0] + drawn[:, 2]
    ends = np.quantile(measure(after) - measure(before), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    shares = table / table.sum(1, keepdims=True)
    observed = measure((shares[:, 0] + shares[:, 2])[None]) - measure((shares[:, 0] + shares[:, 1])[None])
    return float(min(ends[0], observed[0])), float(max(ends[1], observed[0]))
