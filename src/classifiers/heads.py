"""The last layer of a classifier: linear, or the cosine head that LDAM is made for (Cao et al., NeurIPS 2019)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

COSINE_SCALE = 30.0  # s of LDAM's published settings


class CosineHead(nn.Linear):
    """30 cos(feature, weight) for every class; there is no bias."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__(width, classes, bias=False)

    def reset_parameters(self) -> None:
        """Start from unit vectors."""
        nn.init.uniform_(self.weight, -1, 1)
        self.weight.data = F.normalize(self.weight.data)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, width); returns logits (B, classes) in [-30, 30]."""
        return COSINE_SCALE * F.linear(F.normalize(x), F.normalize(self.weight))


HEADS: dict[str, Callable[[int, int], nn.Linear]] = {"linear": nn.Linear, "cosine": CosineHead}
