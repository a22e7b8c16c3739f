"""Feedback criteria: what the classifier wants to see more of, which guidance moves uphill (arXiv 2310.00158, sec. 3).

A criterion is `criterion(logits (B, C), features (B, D), labels (B,)) -> (B,)`, in nats for those of probabilities.
Hardness is `src.feedback.class_gaussians`'. Disagreement asks several classifiers: its logits are (M, B, C), and any
other criterion sees the first one's.
"""

import math
import re
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from src.feedback.class_gaussians import ClassGaussians
from src.runtime.errors import InputError

Criterion = Callable[[Tensor, Tensor, Tensor], Tensor]


def loss(logits: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """The classifier's loss, -log f(x)_y."""
    return F.cross_entropy(logits, labels, reduction="none")


def entropy(logits: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """The classifier's entropy, -sum_k f(x)_k log f(x)_k."""
    log_p = logits.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)


def margin(logits: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """How little the intended class leads: max_{k != y} logit_k - logit_y. Not of the paper."""
    others = logits.masked_fill(F.one_hot(labels, logits.shape[1]).bool(), -float("inf"))
    return others.amax(1) - logits.gather(1, labels[:, None])[:, 0]


def disagreement(logits: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """What M classifiers (M, B, C) disagree about: H(mean_m p_m) - mean_m H(p_m), Houlsby et al. 2011 (BALD)."""
    log_p = logits.log_softmax(2)
    mean = log_p.logsumexp(0) - math.log(len(logits))  # of the probabilities
    return (log_p.exp() * log_p).sum(2).mean(0) - (mean.exp() * mean).sum(1)


CRITERIA: dict[str, Criterion] = {"loss": loss, "entropy": entropy, "margin": margin}
COMMITTEE = {"disagreement": disagreement}  # of which each asks several classifiers
TERMS = re.compile(r"(?<![0-9.][eE])\+")  # not the plus of 1e+1
NAMES = ("none", "chamfer", *CRITERIA, "hardness", *COMMITTEE)


def criterion(name: str, gaussians: ClassGaussians | None = None, members: int = 1) -> Criterion | None:
    """The criterion called `name`; None for "none". A sum such as "0.7*entropy+0.3*loss" is a criterion too.

    gaussians: needed by `hardness`. members: how many classifiers' logits there are; of several (M, B, C). Raises
    InputError for an unknown name, listing the known ones.
    """
    if name == "none":
        return None
    terms = [_term(part, gaussians, members) for part in TERMS.split(name)]
    if len(terms) == 1 and terms[0][0] == 1:
        return terms[0][1]
    return lambda logits, features, labels: sum(w * c(logits, features, labels) for w, c in terms)  # type: ignore[return-value]


def _term(text: str, gaussians: ClassGaussians | None, members: int) -> tuple[float, Criterion]:
    weight, _, name = (part.strip() for part in text.strip().rpartition("*"))
    if name == "hardness" and gaussians is None:
        raise InputError("criterion 'hardness' needs the class Gaussians of real features; none were given.")
    if name in COMMITTEE and members < 2:
        raise InputError(f"criterion '{name}' needs several base classifiers; set committee to 4, or another criterion")
    known = CRITERIA if gaussians is None else {**CRITERIA, "hardness": gaussians.hardness}
    if members > 1:
        known = {**{other: _first(measure) for other, measure in known.items()}, **COMMITTEE}
    if name not in known:
        raise InputError(
            f"criterion '{name}' is unknown; choose one of {', '.join(NAMES)}, or a weighted sum of the "
            f"last {len(NAMES) - 2}"
        )
    try:
        factor = float(weight or 1)
    except ValueError:
        factor = math.nan
    if not math.isfinite(factor):
        raise InputError(f"criterion term '{text.strip()}' must read <number>*<name>.")
    return factor, known[name]


def _first(measure: Criterion) -> Criterion:
    """The criterion of the first of several classifiers."""
    return lambda logits, features, labels: measure(logits[0], features, labels)
