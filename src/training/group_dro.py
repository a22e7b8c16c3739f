"""Group-DRO: minimise the worst group's loss by weights that grow with every group's loss.

Sagawa et al. (ICLR 2020), algorithm 1, in the mini-batch form of their code: all groups of a batch at once.
Synthetic images belong to groups like real ones.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from src.training.objective import ClassLosses, Objective, Total


class GroupDRO(Objective):
    """The sum over groups of q_g times the group's mean loss, after q_g *= exp(step * loss_g), normalised.

    A group that is absent from the batch has loss 0, so its q changes by the normalisation alone. q is the
    state of training and goes to checkpoints. It moves once per call in training mode; `training.step` calls it once a
    step, on all parts of the batch that its process has.
    """

    q: Tensor
    known: Tensor
    adjustment: Tensor

    def __init__(
        self, loss: ClassLosses, constants: Tensor, group_counts: Sequence[int], step: float, adjustment: float
    ) -> None:
        """group_counts: training images per group (G,). step: of the exponentiated gradient.

        adjustment: C of the generalisation adjustment C / sqrt(n_g), 0 for none.
        """
        super().__init__(loss, constants)
        counts = torch.tensor(group_counts, dtype=torch.float32)
        self.step = step
        # A group without images takes no share of the weight; if one turns up after all, it is trained on.
        self.register_buffer("known", (counts > 0).float(), persistent=False)
        self.register_buffer("adjustment", adjustment / counts.clamp(min=1).sqrt(), persistent=False)
        self.register_buffer("q", torch.ones_like(counts) / self.known.sum())

    def forward(
        self, logits: Tensor, targets: Tensor, *, groups: Tensor | None = None, progress: float = 0.0,
        total: Total = Tensor.detach,
    ) -> Tensor:  # fmt: skip
        """As `Objective.forward`; groups are needed, progress is not used."""
        losses = (self.loss(logits, self.constants) * targets).sum(1)  # (B,)
        assert groups is not None
        member = F.one_hot(groups, len(self.q)).to(losses)  # (B, G)
        sums, counts = losses @ member, member.sum(0)
        all_sums, all_counts, parts = total(torch.stack([sums.detach(), counts, torch.ones_like(counts)]))
        all_counts = all_counts.clamp(min=1)
        q = self.q * (self.step * (all_sums / all_counts + self.adjustment)).exp()
        q = q / (q * self.known).sum()
        if self.training:
            self.q.copy_(q)
        return (q * sums / all_counts * parts).sum()
