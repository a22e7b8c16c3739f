"""What a training step minimises: a loss averaged over the batch, with weights per class or per group.

A global batch may be cut into parts, on one process or several: the mean over equal parts of what the parts
return is what the whole batch would return.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

ClassLosses = Callable[[Tensor, Tensor], Tensor]
Total = Callable[[Tensor], Tensor]


class Objective(nn.Module):
    """The mean of a loss; with weights, the sum of weighted losses over the sum of the weights in the batch.

    That is what the published code of class-balanced weights and DRW computes: the weighted mean of
    torch.nn.functional.cross_entropy, here for soft targets too. A mixed image has both its classes' weights,
    each by its share, but its own group alone.
    """

    constants: Tensor
    weights: Tensor | None

    def __init__(
        self, loss: ClassLosses, constants: Tensor, weights: Tensor | None = None, by_group: bool = False,
        start: float = 0.0,
    ) -> None:  # fmt: skip
        """loss: (logits (B, C), constants (C,)) -> (B, C), entry k as if class k were the true one.

        weights: (C,), or (G,) if `by_group`. start: the share of training from which the weights hold.
        """
        super().__init__()
        self.loss, self.by_group, self.start = loss, by_group, start
        # Not state: both follow from params.yaml and the data.
        self.register_buffer("constants", constants, persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def forward(
        self, logits: Tensor, targets: Tensor, *, groups: Tensor | None = None, progress: float = 0.0,
        total: Total = Tensor.detach,
    ) -> Tensor:  # fmt: skip
        """Return the loss of this part of the batch, a scalar.

        logits: (B, C), float32 or better. targets: (B, C) probabilities. groups: (B,) integers below G, where
        the data have groups. progress: the share of training done, in [0, 1). total: sums a detached tensor
        over all parts of the batch, one by default; called at most once.
        """
        losses = self.loss(logits, self.constants) * targets  # (B, C)
        if self.weights is None or progress < self.start:
            return losses.sum() / len(losses)
        assert not self.by_group or groups is not None  # `make_objective` refuses data without
        weights = self.weights[groups][:, None] if self.by_group else self.weights
        mass = (weights * targets).sum().detach()
        mass, parts = total(torch.stack([mass, torch.ones_like(mass)]))
        return (weights * losses).sum() * parts / mass
