"""Weights to start a classifier from: torchvision's by name, or a file with torchvision's or our own tensor names."""

import errno
import hashlib
import re
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.runtime.processes import is_main

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d")
TRANSFORMERS = ("vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14")
# What torchvision calls the final layer.
FINAL = {**dict.fromkeys(RESNETS, "fc"), **dict.fromkeys(TRANSFORMERS, "heads.head")}
FILES = (".safetensors", ".pth", ".pt")
WRAPPERS = ("state_dict", "model")  # under which a training script's checkpoint holds the weights


def load_pretrained(model: Any, weights: str) -> None:
    """Load pre-trained weights into a classifier of src.classifiers.models, in place.

    weights: a path that ends in .safetensors or .pth, or a name of torchvision's such as IMAGENET1K_V1, whose file is
    looked for in torch's hub folder, else downloaded and checked against its hash. The final layer is dropped when
    it does not fit the head; a vision transformer's position embedding is interpolated to the model's image size.
    InputError if the weights cannot be had or do not fit.
    """
    name = str(model.config["name"])
    read = _from_file(Path(weights).expanduser()) if weights.endswith(FILES) else _from_torchvision(name, weights)
    final = FINAL.get(name, "head") + "."
    tensors = {}
    for key, value in read.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise InputError(f"the weights '{weights}' hold more than tensors by name, such as {key!r}; get other ones")
        key = key.removeprefix("module.").removeprefix("_orig_mod.").removeprefix("module.")  # DataParallel, compile
        ours = key.startswith(("backbone.", "head."))
        place = f"head.{key.removeprefix(final)}" if key.startswith(final) else f"backbone.{key}"
        tensors[key if ours else place] = value
    own = model.state_dict()
    head = {key for key in own if key.startswith("head.")}
    given = {key for key in tensors if key.startswith("head.")}
    if head != given or any(own[key].shape != tensors[key].shape for key in head):
        tensors = {key: value for key, value in tensors.items() if key not in given} | {key: own[key] for key in head}
    if name in TRANSFORMERS:
        _interpolate_positions(model.backbone, tensors)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip().rstrip(".")
        raise InputError(
            f"the weights '{weights}' do not fit {name} for {model.config['image_size']} pixels ({first}); give the "
            "weights of this model, and of a ResNet's ImageNet weights an image size above 64"
        ) from error


def weights_digest(weights: str | None) -> str | None:
    """The sha256 of the weights file that a recipe starts from; None without one, or for a name of torchvision's.

    None also for a file that is missing, which `load_pretrained` refuses. What a resumed run depends on.
    """
    if not weights or not weights.endswith(FILES) or not (path := Path(weights).expanduser()).is_file():
        return None
    with open(path, "rb") as file:  # read in pieces: large weights need not fit twice
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_file(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise InputError(f"the weights file {path} is missing; put it there, or name another under `weights`")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        read = torch.load(path, map_location="cpu", weights_only=True)
        return next((read[key] for key in WRAPPERS if isinstance(read.get(key), dict)), read)
    except Exception as error:  # damaged files, and those that ask for code, raise errors of every kind
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise  # of the machine, not of the file, whose damaged offsets are invalid arguments
        if isinstance(error, MemoryError):
            raise InputError(f"{path} asks for more memory than there is; get the file again") from error
        if code := re.search(r"Unsupported global: GLOBAL (\S+)", str(error)):
            raise InputError(
                f"{path} holds no intact weights alone, but also a {code[1]}, which would run code; save its weights "
                "alone, with torch.save(model.state_dict(), ...) or as .safetensors"
            ) from error
        raise InputError(f"{path} holds no intact weights; get the file again") from error


def _from_torchvision(name: str, weights: str) -> dict[str, torch.Tensor]:
    if name not in FINAL:
        raise InputError(f"torchvision has no weights for {name}; leave `weights` empty or name a .safetensors file")
    from torchvision.models import get_model_weights  # two seconds, for these weights alone

    choice = choose("weights", get_model_weights(name).__members__, weights)
    file, folder = choice.url.rsplit("/", 1)[1], Path(torch.hub.get_dir()) / "checkpoints"
    try:
        return dict(choice.get_state_dict(progress=is_main(), check_hash=True, map_location="cpu", weights_only=True))
    except MemoryError:
        raise
    except Exception as error:  # of the network, the hash, or a file cut short
        raise InputError(
            f"the weights {weights} of {name} cannot be had: {file} is not (whole) in {folder} and the download "
            f"failed; put the file there, or set `weights` to the path of a .pth or .safetensors file"
        ) from error


def _interpolate_positions(backbone: Any, tensors: dict[str, torch.Tensor]) -> None:
    key, own = "encoder.pos_embedding", backbone.state_dict()["encoder.pos_embedding"]
    given = tensors.get(f"backbone.{key}")
    if given is not None and given.shape[1] != own.shape[1] and given.shape[2] == own.shape[2]:
        from torchvision.models.vision_transformer import interpolate_embeddings

        changed = interpolate_embeddings(backbone.image_size, backbone.patch_size, {key: given})
        tensors[f"backbone.{key}"] = changed[key]
