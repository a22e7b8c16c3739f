"""Networks of transformers as they were published, for inference: a folder or a hub, safetensors, no remote code."""

import re
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch

from src.runtime.errors import InputError

# Per channel, for images in [0, 1], of the published CLIP models (Radford et al., ICML 2021).
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def published_network(
    kind: Any, setting: str, model_type: str, path: str, revision: str | None, device: torch.device
) -> Any:
    """A model of transformers from a folder or a hub, float32. kind: its class there. setting: what named it.

    InputError if it cannot be loaded, is of another `model_type`, or lacks a weight.
    """
    name = setting.rpartition(".")[2]
    cure = f"download its files and set {setting}.path to their folder"
    folder = Path(path).expanduser()
    if path.startswith((".", "/", "~")) and not folder.is_dir():
        raise InputError(f"the {name} model's folder {path} is missing; {cure}")
    try:
        model, info = kind.from_pretrained(
            str(folder) if folder.is_dir() else path,
            revision=revision, dtype=torch.float32, use_safetensors=True, trust_remote_code=False,
            output_loading_info=True,
        )  # fmt: skip
    except Exception as error:  # the library raises many kinds, for a missing hub, file, key or shape
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        reason = shorten(re.sub(r"'?\w+://[^\s']*'?", "its hub", first).rstrip("."), 160, placeholder=" ...")
        raise InputError(f"the {name} model '{path}' cannot be loaded ({reason}); {cure}") from error
    if not str(model.config.model_type).startswith(model_type):
        raise InputError(f"'{path}' holds a {model.config.model_type}, not a {model_type}; {cure}")
    if info["missing_keys"]:
        raise InputError(f"'{path}' lacks the weight '{min(info['missing_keys'])}'; {cure}")
    return model.eval().to(device)
