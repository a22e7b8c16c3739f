"""What feedback did to the images: by its own trace, and in the eyes of the classifier that gave it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.shards.store import Shards

TRACE = {"before": "criterion_before", "after": "criterion_after", "updates": "updates", "skipped": "skipped"}


def loss_and_entropy(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return the loss and entropy in nats of each finished image, (N,), the same judge for guided and unguided ones.

    probabilities: (N, C) by the base classifier. labels: (N,), the classes asked for.
    """
    p = np.clip(probabilities, np.finfo(np.float64).tiny, 1)
    return {
        "loss": -np.log(p[np.arange(len(labels)), labels]),
        "entropy": -(p * np.log(p)).sum(1),
    }


def feedback_trace(shards: Shards, chosen: Sequence[int] | np.ndarray) -> dict[str, float | None] | None:
    """Return the means per image, over the chosen ones, of what sampling recorded; None for images made without
    feedback.

    before: the criterion of the prediction at the first guided step; after: of the finished image; None where no image
    has a finite one. updates, skipped: guided steps that moved the image, or could not since the gradient was zero or
    not finite.
    """
    metas = [shards.meta(i) for i in chosen]
    guided = (meta.get("criterion_after") is not None or meta.get("updates") or meta.get("skipped") for meta in metas)
    if not any(guided):
        return None
    return {name: _mean(meta.get(field) for meta in metas) for name, field in TRACE.items()}


def _mean(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
