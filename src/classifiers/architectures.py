"""The networks that a classifier may have, each up to its features, and how the images that it sees are normalised.

ResNets are He et al. (CVPR 2016), ResNeXt Xie et al. (CVPR 2017), vision transformers Dosovitskiy et al. (ICLR 2021),
all from torchvision; resnet32 is CIFAR's.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import nn

from src.classifiers.pretrained import RESNETS, TRANSFORMERS
from src.classifiers.resnet32 import resnet32
from src.runtime.errors import InputError

# Mean and standard deviation per channel, for images in [0, 1]. CIFAR's are those of the LDAM protocol.
STATISTICS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
}


def small_cnn(image_size: int) -> tuple[nn.Module, int]:
    """Three convolutions and a linear layer: 2 million multiply-adds at 32 x 32, trained in seconds.

    The last map is flattened, not averaged: where a stroke lies is most of what a digit is.
    """
    if image_size % 8:
        raise InputError(f"small_cnn needs an image size divisible by 8, not {image_size}")
    cells = (image_size // 8) ** 2
    backbone = nn.Sequential(
        *_convolution(3, 16, kernel=5, stride=2),
        *_convolution(16, 32, kernel=3, stride=2),
        *_convolution(32, 64, kernel=3, stride=1),
        nn.AvgPool2d(2),
        nn.Flatten(),  # (B, 64 * cells)
        nn.Linear(64 * cells, 64, bias=False),
        nn.BatchNorm1d(64),
        nn.ReLU(),
    )
    return backbone, 64


def _convolution(inputs: int, outputs: int, kernel: int, stride: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()


def _resnet(name: str, image_size: int) -> tuple[nn.Module, int]:
    from torchvision.models import get_model  # two seconds, which the default model does not need

    backbone = get_model(name, weights=None)
    if image_size <= 64:
        # The usual stem for small images: the ImageNet one would leave a 32 x 32 image a single cell.
        backbone.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        backbone.maxpool = nn.Identity()
    width = backbone.fc.in_features
    backbone.fc = nn.Identity()
    return backbone, width


def _transformer(name: str, image_size: int) -> tuple[nn.Module, int]:
    patch = int(name.rsplit("_", 1)[1])
    if image_size % patch:
        raise InputError(f"{name} needs an image size divisible by {patch}, not {image_size}")
    from torchvision.models import get_model

    backbone = get_model(name, weights=None, image_size=image_size)
    backbone.heads = nn.Identity()
    return backbone, backbone.hidden_dim


class Architecture(NamedTuple):
    """make: image size -> backbone and width. normalisation: of the images that it sees, one of STATISTICS."""

    make: Callable[[int], tuple[nn.Module, int]]
    normalisation: str | None


MODELS: dict[str, Architecture] = {
    "small_cnn": Architecture(small_cnn, None),
    "resnet32": Architecture(lambda image_size: resnet32(), "cifar"),
    **{name: Architecture(partial(_resnet, name), "imagenet") for name in RESNETS},
    **{name: Architecture(partial(_transformer, name), "imagenet") for name in TRANSFORMERS},
}
