"""ResNet-32 for 32 x 32 images, as published for CIFAR (He et al., CVPR 2016, section 4.2): 0.46 million parameters."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

BLOCKS = 5  # per group; 6 n + 2 = 32 layers
WIDTHS = (16, 32, 64)


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut without parameters (option A of the paper).

    Where the width grows, the shortcut takes every second pixel and pads the new channels with zeros.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride, self.more = (1 if inputs == outputs else 2), outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, inputs, H, W); returns (B, outputs, H / stride, W / stride)."""
        shortcut = x
        if self.more:
            shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + shortcut)


def resnet32() -> tuple[nn.Module, int]:
    """Return the network up to the averaged map, (B, 3, H, W) -> (B, 64), and its width."""
    widths = [WIDTHS[0], *(width for width in WIDTHS for _ in range(BLOCKS))]
    blocks = [Block(inputs, outputs) for inputs, outputs in pairwise(widths)]
    network = nn.Sequential(
        nn.Conv2d(3, WIDTHS[0], 3, 1, 1, bias=False),
        nn.BatchNorm2d(WIDTHS[0]),
        nn.ReLU(),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")  # He et al. (ICCV 2015), as the paper says
    return network, WIDTHS[-1]
