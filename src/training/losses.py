"""Losses on logits, with the class prior as an argument: cross-entropy and balanced softmax."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from src.errors import InputError

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, log_prior: torch.Tensor | None = None) -> torch.Tensor:
    """Mean cross-entropy; the prior is not used.

    logits: (B, C). targets: (B,) integers or (B, C) probabilities. Returns a scalar.
    """
    return F.cross_entropy(logits, targets)


def balanced_softmax(
    logits: torch.Tensor, targets: torch.Tensor, log_prior: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross-entropy of `logits + log n_c`, which leaves unbiased logits (Ren et al., NeurIPS 2020, eq. 3).

    log_prior: (C,) from the counts of *real* training images, also when synthetic ones are added
    (Fill-Up). Other arguments as in `cross_entropy`. InputError without a prior.
    """
    if log_prior is None:
        raise InputError("the loss balanced_softmax needs the class counts of the real training images")
    return F.cross_entropy(logits + log_prior, targets)


def log_prior(counts: Sequence[int]) -> torch.Tensor:
    """Return the log class frequencies (C,); InputError for a class without images."""
    if min(counts) < 1:
        raise InputError(f"class {list(counts).index(min(counts))} has no training image, so no log prior")
    frequencies = torch.tensor(counts, dtype=torch.float64)
    return (frequencies / frequencies.sum()).log().float()


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "balanced_softmax": balanced_softmax}
