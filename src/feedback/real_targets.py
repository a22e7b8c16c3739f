"""How hard real images are for the classifier: a criterion's distribution on held-out ones, by class.

Feedback is matched to it rather than maximised: images that are harder than any real one teach something else. A class
of few held-out images says little of its own distribution, so that it is mixed with all classes', as the posterior mean
of a Dirichlet process is (Ferguson 1973).
"""

from collections.abc import Sequence

import numpy as np

from src.runtime.errors import InputError

PRIOR = 5.0  # images of a class, beside which all classes' together count as much as its own


class RealTargets:
    """The distribution of a criterion for each class: weight n / (n + PRIOR) on its own n values, the rest on all.

    A class without a value has all classes'; in these every class that has values counts alike.
    """

    def __init__(self, values: np.ndarray, labels: np.ndarray, classes: int) -> None:
        """values: the criterion (N,) on held-out real images of these labels (N,); those not finite say nothing.
        InputError if none says anything."""
        known = np.isfinite(values)
        if not known.any():
            raise InputError(
                "feedback with target real looks at real validation images, and the classifier has a finite criterion "
                "for none; have some (val_per_class, val_fraction), or empty the feedback's target"
            )
        order = np.argsort(values[known], kind="stable")
        self.values, self.labels = values[known][order].astype(np.float64), labels[known][order]
        self.counts = np.bincount(self.labels, minlength=classes)
        self._pooled = (1 / self.counts[self.labels]) / np.count_nonzero(self.counts)

    def weights(self, label: int) -> np.ndarray:
        """The probability (N,) of each value, the smallest first, in the class's distribution."""
        own = self.counts[label] / (self.counts[label] + PRIOR)
        return (1 - own) * self._pooled + own * (self.labels == label) / max(self.counts[label], 1)

    def at(self, labels: Sequence[int], ranks: Sequence[float]) -> np.ndarray:
        """The quantiles (B,) at these ranks in [0, 1), each of its class's distribution: each is a real image's."""
        reached = {label: np.cumsum(self.weights(label)) for label in set(labels)}
        places = [np.searchsorted(reached[k], u, "right") for k, u in zip(labels, ranks, strict=True)]
        return self.values[np.minimum(places, len(self.values) - 1)]

    def means(self) -> np.ndarray:
        """The mean (C,) of each class's own values, not a number where it has none."""
        sums = np.bincount(self.labels, self.values, len(self.counts))
        return np.where(self.counts > 0, sums / np.maximum(self.counts, 1), np.nan)
