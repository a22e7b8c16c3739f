"""Losses for imbalanced classes on soft targets, and the objective that `train` of params.yaml asks for.

A loss returns (B, C): entry k is the image's loss if class k were the true one. The targets weigh these, so
that mixup, CutMix and label smoothing mean the same for every loss.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from src.classifiers.heads import COSINE_SCALE
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.settings.sections import MethodSettings
from src.training.group_dro import GroupDRO
from src.training.objective import ClassLosses, Objective
from src.training.samplers import needs_groups
from src.training.weighting import WEIGHTINGS


def cross_entropy(logits: torch.Tensor, constants: torch.Tensor | None = None) -> torch.Tensor:
    """-log p_k. logits: (B, C); returns (B, C). The constants are not used."""
    return -logits.log_softmax(1)


def focal(logits: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
    """-(1 - p_k)^gamma log p_k (Lin et al., ICCV 2017, eq. 4), softmax instead of their sigmoids.

    gamma: (C,) or a scalar. Other shapes as in `cross_entropy`.
    """
    losses = cross_entropy(logits)
    # Positive, because the power's slope at 0 is infinite for gamma < 1.
    return (-torch.expm1(-losses)).clamp(min=1e-12) ** gamma * losses


def prior_adjusted(logits: torch.Tensor, log_prior: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of `logits + log_prior`, which leaves the logits themselves unbiased.

    With the log class frequencies: balanced softmax (Ren et al., NeurIPS 2020, eq. 3); with tau times these:
    the loss of logit adjustment (Menon et al., ICLR 2021, eq. 10). log_prior: (C,).
    """
    return cross_entropy(logits + log_prior)


def ldam(logits: torch.Tensor, margins: torch.Tensor) -> torch.Tensor:
    """Cross-entropy after the margin is taken from the true class's logit (Cao et al., NeurIPS 2019).

    margins: (C,), already times the scale of the logits. Other shapes as in `cross_entropy`.
    """
    return F.softplus(margins + _others(logits) - logits)


def _others(logits: torch.Tensor) -> torch.Tensor:
    """log sum_{j != k} exp z_j for every k, (B, C), without the cancellation at a confident class."""
    top = F.one_hot(logits.argmax(1), logits.shape[1]).bool()
    share = logits.softmax(1).masked_fill(top, 0)  # at most 1/2
    without_top = logits.masked_fill(top, -torch.inf).logsumexp(1, keepdim=True)
    return torch.where(top, without_top, logits.logsumexp(1, keepdim=True) + torch.log1p(-share))


def log_prior(counts: Sequence[int]) -> torch.Tensor:
    """Return the log class frequencies (C,); InputError for a class without images."""
    if min(counts) < 1:
        raise InputError(f"class {list(counts).index(min(counts))} has no training image, so no log prior")
    frequencies = torch.tensor(counts, dtype=torch.float64)
    return (frequencies / frequencies.sum()).float().log()  # of floats: of doubles MKL's differs by processor


def ldam_margins(counts: Sequence[int], largest: float) -> torch.Tensor:
    """Margins proportional to n^(-1/4), `largest` for the rarest class (Cao et al.). Returns (C,)."""
    margins = torch.tensor(counts, dtype=torch.float64).clamp(min=1) ** -0.25
    return (margins * largest / margins.max()).float()


def _nothing(method: MethodSettings, counts: Sequence[int]) -> torch.Tensor:
    return torch.zeros(len(counts))


# Every loss with its constant for each class, from the method and the counts.
LOSSES: dict[str, tuple[ClassLosses, Callable[[MethodSettings, Sequence[int]], torch.Tensor]]] = {
    "cross_entropy": (cross_entropy, _nothing),
    "focal": (focal, lambda method, counts: torch.full((len(counts),), method.focal_gamma)),
    "balanced_softmax": (prior_adjusted, lambda method, counts: log_prior(counts)),
    "logit_adjustment": (prior_adjusted, lambda method, counts: method.adjustment_tau * log_prior(counts)),
    "ldam": (ldam, lambda method, counts: COSINE_SCALE * ldam_margins(counts, method.ldam_margin)),
    "group_dro": (cross_entropy, _nothing),
}


def head_for(loss: str) -> str:
    """The head that a loss is made for: "cosine" for LDAM, "linear" for all others."""
    return "cosine" if loss == "ldam" else "linear"


def make_objective(method: MethodSettings, counts: Sequence[int], group_counts: Sequence[int] | None) -> Objective:
    """Return what training minimises under the method's loss and weighting.

    counts: *real* training images per class, also when synthetic ones are added (Fill-Up, arXiv 2306.07200).
    group_counts: images trained on per group, or None without contexts. InputError for an unknown name, or a method by
    group without groups.
    """
    loss, constants = choose("loss", LOSSES, method.loss)
    weighting = choose("weighting", WEIGHTINGS, method.weighting)
    numbers = constants(method, counts)
    if method.loss == "group_dro":
        if weighting is not None:
            raise InputError("train.loss group_dro weighs the groups itself; set train.weighting to none")
        groups = needs_groups("loss", "group_dro", group_counts)
        return GroupDRO(loss, numbers, groups, method.group_dro_step, method.group_dro_adjustment)
    if weighting is None:
        return Objective(loss, numbers)
    weighted = needs_groups("weighting", method.weighting, group_counts) if weighting.by_group else counts
    return Objective(loss, numbers, weighting.weights(weighted, method), weighting.by_group, weighting.start(method))
