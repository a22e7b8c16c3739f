"""Classifiers as a feature extractor and a linear head, so that the head alone can be trained again.

The split follows decoupled training (Kang et al., ICLR 2020); ResNets are He et al. (CVPR 2016).
"""

from collections.abc import Callable
from pathlib import Path

import safetensors
import torch
import torchvision
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import nn

from src.errors import InputError
from src.files import atomic_write, read_bytes, read_json, write_json
from src.training.named import named


class Classifier(nn.Module):
    """`forward = head(features)`.

    backbone: maps (B, 3, H, W) in [-1, 1] to (B, width). config: the arguments that build the same
    architecture again, kept beside the weights.
    """

    def __init__(self, backbone: nn.Module, width: int, config: dict[str, str | int]) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(width, int(config["classes"]))
        self.config = config
        # A fifth faster on CPU for these small convolutions, and what tensor cores want on GPU.
        self.to(memory_format=torch.channels_last)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, 3, H, W) in [-1, 1]; returns the penultimate features (B, width)."""
        return self.backbone(x.contiguous(memory_format=torch.channels_last))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, 3, H, W) in [-1, 1]; returns logits (B, classes)."""
        return self.head(self.features(x))


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


def _resnet(constructor: Callable[..., torchvision.models.ResNet], image_size: int) -> tuple[nn.Module, int]:
    backbone = constructor(weights=None)
    if image_size <= 64:
        # The usual stem for small images: the ImageNet one would leave a 32 x 32 image a single cell.
        backbone.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        backbone.maxpool = nn.Identity()
    width = backbone.fc.in_features
    backbone.fc = nn.Identity()
    return backbone, width


MODELS: dict[str, Callable[[int], tuple[nn.Module, int]]] = {
    "small_cnn": small_cnn,
    "resnet18": lambda image_size: _resnet(torchvision.models.resnet18, image_size),
    "resnet50": lambda image_size: _resnet(torchvision.models.resnet50, image_size),
}


def build(name: str, classes: int, image_size: int, seed: int) -> Classifier:
    """Return a classifier with random weights that depend on `seed` alone.

    name: one of MODELS. image_size: pixels per side. InputError for an unknown name, an image size the
    model cannot take, or fewer than two classes.
    """
    architecture = named("model", MODELS, name)
    if classes < 2:
        raise InputError(f"a classifier needs at least two classes, not {classes}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone, width = architecture(image_size)
        return Classifier(backbone, width, {"name": name, "classes": classes, "image_size": image_size})


def save(model: Classifier, folder: Path | str) -> None:
    """Write `config.json` and, last, `model.safetensors` into `folder`."""
    folder = Path(folder)
    write_json(folder / "config.json", model.config)
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    atomic_write(folder / "model.safetensors", serialise(weights))


def load(folder: Path | str) -> Classifier:
    """Return the classifier that `save` wrote, in evaluation mode on the CPU.

    InputError if a file is missing, damaged, or does not fit the other.
    """
    folder = Path(folder)
    config = read_json(folder / "config.json")
    data = read_bytes(folder / "model.safetensors")
    try:
        model = build(config["name"], config["classes"], config["image_size"], seed=0)
        model.load_state_dict(parse(data))
    except (safetensors.SafetensorError, RuntimeError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds no intact classifier; run `dvc repro` to train it again") from error
    return model.eval()
