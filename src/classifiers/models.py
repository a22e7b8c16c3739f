"""Classifiers as a feature extractor and a head, so that the head alone can be trained again.

The split follows decoupled training (Kang et al., ICLR 2020).
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import nn

from src.classifiers.architectures import MODELS, STATISTICS
from src.classifiers.heads import HEADS
from src.classifiers.pretrained import load_pretrained
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.runtime.files import atomic_write, read_bytes, read_json, write_json
from src.runtime.seeds import torch_seeded

LARGEST = 4096  # pixels


class Classifier(nn.Module):
    """`forward = head(features)`.

    backbone: maps (B, 3, H, W), normalised as `config` says, to (B, width). config: the arguments that build the
    same architecture again, kept beside the weights: name, classes, image_size, and where they are not the
    default head ("cosine"), normalisation (one of architectures.STATISTICS) and weights (what training started from).
    """

    def __init__(self, backbone: nn.Module, width: int, config: dict[str, str | int]) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = HEADS[str(config.get("head", "linear"))](width, int(config["classes"]))
        self.config = config
        # A fifth faster on CPU for these small convolutions, and what tensor cores want on GPU.
        self.to(memory_format=torch.channels_last)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, 3, H, W) in [-1, 1]; returns the penultimate features (B, width).

        Of images larger than the model's image_size the centre is seen, as published evaluations do (stored at
        256, seen at 224); training images have their size from the augmentation.
        """
        x = centre_crop(x, int(self.config["image_size"])).contiguous(memory_format=torch.channels_last)
        if "normalisation" in self.config:
            mean, std = _statistics(str(self.config["normalisation"]), x.device)
            x = (x - mean) / std
        return self.backbone(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, 3, H, W) in [-1, 1]; returns logits (B, classes)."""
        return self.head(self.features(x))


def centre_crop(x: torch.Tensor, size: int | None) -> torch.Tensor:
    """Return the central size x size pixels of x (B, 3, H, W), or x where it is not larger."""
    height, width = x.shape[-2:]
    if size is None or (height <= size and width <= size):
        return x
    top, left = max(height - size, 0) // 2, max(width - size, 0) // 2
    return x[..., top : top + size, left : left + size]


@lru_cache
def _statistics(name: str, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of images in [-1, 1], each (3, 1, 1)."""
    with torch.inference_mode(False):  # kept for later calls, which may need gradients
        mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in STATISTICS[name])
        return 2 * mean - 1, 2 * std


def build(
    name: str, classes: int, image_size: int, seed: int, head: str = "linear", weights: str | None = None
) -> Classifier:
    """Return a classifier whose random weights depend on `seed` alone.

    name: one of MODELS. image_size: pixels per side that it sees. head: one of HEADS. weights: a file or a name of
    torchvision's to start from, see `load_pretrained`. InputError for an unknown name, an image size the model
    cannot take, fewer than two classes, or weights that are missing or do not fit.
    """
    config: dict[str, str | int] = {"name": name, "classes": classes, "image_size": image_size}
    if head != "linear":
        config["head"] = head
    if normalisation := choose("model", MODELS, name).normalisation:
        config["normalisation"] = normalisation
    model = _assemble(config, seed)
    if weights:
        load_pretrained(model, weights)
        model.config["weights"] = Path(weights).name
    return model


def _assemble(config: Mapping[str, Any], seed: int) -> Classifier:
    architecture = choose("model", MODELS, config["name"])
    choose("head", HEADS, config.get("head", "linear"))
    if config["classes"] < 2:
        raise InputError(f"a classifier needs at least two classes, not {config['classes']}")
    if not 1 <= config["image_size"] <= LARGEST:
        raise InputError(f"a classifier sees images of 1 to {LARGEST} pixels, not {config['image_size']}")
    with torch_seeded(seed):
        backbone, width = architecture.make(config["image_size"])
        return Classifier(backbone, width, dict(config))


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
        weights = parse(data)
        _check(config, weights)
        model = _assemble(config, seed=0)
        model.load_state_dict(weights)
    except (safetensors.SafetensorError, RuntimeError, LookupError, TypeError, ValueError, OverflowError) as error:
        reason = f" ({error})" if isinstance(error, InputError) else ""
        raise InputError(f"{folder} holds no intact classifier{reason}; run `dvc repro` to train it again") from error
    return model.eval()


def _check(config: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """InputError, half a sentence, unless the weights are those of the configuration, which may ask for any size."""
    for name in ("classes", "image_size"):
        if type(config[name]) is not int or config[name] < 1:
            raise InputError(f"its {name} is {config[name]!r}")
    choose("normalisation", STATISTICS, config.get("normalisation", "imagenet"))
    with torch.device("meta"):  # takes no memory
        expected = _assemble(config, seed=0).state_dict()
    for name, value in expected.items():
        if name not in weights:
            raise InputError(f"it lacks the weight '{name}'")
        if (weights[name].shape, weights[name].dtype) != (value.shape, value.dtype):
            raise InputError(f"its weight '{name}' has another size or number format than its configuration asks for")
        if not weights[name].isfinite().all():
            raise InputError(f"its weight '{name}' holds NaN or infinity")
