"""From a generator preset to a loaded diffusion model: a local folder or a hub's, safetensors only, no remote code."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any

import diffusers
import torch
import transformers
from diffusers import AutoencoderTiny, DiffusionPipeline
from huggingface_hub import snapshot_download

from src.generators.diffusion_model import DiffusionModel, check_finite
from src.generators.frozen_layers import freeze
from src.generators.model_folder import (
    FETCH,
    LOCAL,
    UNUSED,
    Folder,
    check_adapter,
    check_folder,
    check_weights,
    check_width,
    is_local,
)
from src.generators.sdxl import StableDiffusionXL
from src.generators.stable_diffusion import StableDiffusion
from src.generators.unclip import UnCLIP
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.settings.sections import AdapterSettings, GeneratorSettings

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MODELS: dict[str, type[DiffusionModel]] = {
    "StableUnCLIPImg2ImgPipeline": UnCLIP,
    "StableDiffusionPipeline": StableDiffusion,
    "StableDiffusionXLPipeline": StableDiffusionXL,
}
ENCODERS = ("text_encoder", "text_encoder_2", "image_encoder")


def load(settings: GeneratorSettings, device: torch.device) -> DiffusionModel:
    """The diffusion model of a generator preset of params.yaml.

    Raises InputError if the model is missing, incomplete, damaged, or of a kind that is not sampled here; a tiny
    decoder is looked for when it is first used.
    """
    dtype = precision(settings.precision or "auto", device)
    mirror = f" (mirror: {settings.mirror})" if settings.mirror else ""
    cure = f"{FETCH.format('path')}, or use generator=tiny_unclip"
    with _loading(f"the generator '{settings.path}'{mirror}", cure):
        folder = check_folder(_folder(settings))
        pipeline, more = _pipeline(folder), {}
        if settings.adapter:
            more["adapter_scale"] = _add_adapter(pipeline, folder.kind, settings.adapter)
        model = MODELS[folder.kind](pipeline, device, dtype, settings.image_size, **more)
        model.folder = folder.path
    if settings.compile:
        model.compile()
    if settings.declares("tiny_decoder") and settings.tiny_decoder:
        model.find_tiny_decoder = partial(_tiny_decoder, settings.tiny_decoder, settings, device, dtype)
    return model


def precision(name: str, device: torch.device) -> torch.dtype:
    """The networks' number format: `auto` is bfloat16 on a GPU, float32 on a CPU. InputError for what cannot run."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    choose("precision", dict.fromkeys(("auto", *PRECISIONS)), name)
    if name == "float16" and device.type == "cpu":
        raise InputError("precision=float16 needs a GPU; use auto, float32 or bfloat16 on a CPU.")
    return PRECISIONS[name]


def _folder(settings: GeneratorSettings) -> Path:
    """The local folder of the preset's files, fetched from the hub if the path is a model id."""
    if is_local(settings.path):
        return Path(os.path.expanduser(settings.path))
    fetched = DiffusionPipeline.download(
        settings.path, revision=settings.revision, use_safetensors=True, trust_remote_code=False, safety_checker=None
    )
    return Path(fetched)


def _pipeline(folder: Folder) -> DiffusionPipeline:
    """The folder's pipeline in float32. Encoders are loaded first, because only then is a missing tensor reported."""
    given: dict[str, Any] = {name: None for name in UNUSED[folder.kind] if name in folder.index}
    if "requires_safety_checker" in folder.index:
        given["requires_safety_checker"] = False
    for name in ENCODERS:
        library, kind = folder.index.get(name) or ("", "")
        if library == "transformers" and name not in given:
            given[name] = _encoder(kind, folder.path / name, LOCAL)
    kind = getattr(diffusers, folder.kind)
    return kind.from_pretrained(
        folder.path, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, **given
    )


def _encoder(kind: str, folder: Path, cure: str) -> Any:
    encoder, info = getattr(transformers, kind).from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, output_loading_info=True
    )
    return _whole(encoder, info, folder, cure)


def _whole(network: Any, info: Mapping[str, Any], folder: Path | str, cure: str) -> Any:
    """The network, unless its file lacks a tensor: then InputError."""
    if info["missing_keys"]:
        raise InputError(f"{folder} lacks the weight '{min(info['missing_keys'])}'; {cure}")
    return network


def _add_adapter(pipeline: DiffusionPipeline, kind: str, adapter: AdapterSettings) -> float:
    """Put an IP-Adapter and its image encoder into an SDXL pipeline; returns its strength."""
    cure = FETCH.format("adapter.path")
    with _loading(f"the IP-Adapter '{adapter.path}'", cure):
        path, file, encoder = adapter.path, adapter.file, adapter.encoder
        if kind != "StableDiffusionXLPipeline":
            raise InputError(f"an adapter is for StableDiffusionXLPipeline, not {kind}; empty the preset's adapter")
        if not file.endswith(".safetensors"):
            raise InputError(f"the IP-Adapter {file} must be a .safetensors file; no other kind is read.")
        if not is_local(path):
            patterns = [file, f"{encoder}/*.json", f"{encoder}/*.safetensors"]
            path = snapshot_download(path, revision=adapter.revision, allow_patterns=patterns)
        folder = Path(os.path.expanduser(path))
        check_adapter(folder / file, cure)
        check_weights(folder / encoder, f"{folder} lacks the weights of '{encoder}'", cure)
        tower = _encoder("CLIPVisionModelWithProjection", folder / encoder, cure)
        check_width(folder / file, folder / encoder, tower.config.projection_dim)
        pipeline.register_modules(image_encoder=tower)
        subfolder, _, name = file.rpartition("/")
        pipeline.load_ip_adapter(str(folder), subfolder=subfolder, weight_name=name)
        return adapter.scale


def _tiny_decoder(path: str, settings: GeneratorSettings, device: torch.device, dtype: torch.dtype) -> AutoencoderTiny:
    """A distilled decoder such as TAESD, from a folder or a hub, frozen."""
    cure = FETCH.format("tiny_decoder")
    with _loading(f"the tiny_decoder '{path}'", cure):
        if is_local(path):
            path = os.path.expanduser(path)
            check_weights(Path(path), f"the tiny_decoder {path} lacks weights", cure)
        tiny, info = AutoencoderTiny.from_pretrained(
            path, revision=settings.tiny_decoder_revision, use_safetensors=True, output_loading_info=True
        )
        check_finite("tiny_decoder", _whole(tiny, info, path, cure))
        freeze(tiny.to(device, dtype))
    return tiny


@contextmanager
def _loading(what: str, cure: str) -> Iterator[None]:
    """Whatever the libraries raise becomes one sentence that says what cannot be loaded, and the way out."""
    try:
        with quiet():
            yield
    except InputError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].split(". ")[0].rstrip(".")
        reason = shorten(f"{first} is missing" if isinstance(error, KeyError) else first, 160, placeholder=" ...")
        raise InputError(f"{what} cannot be loaded ({reason}); {cure}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Loading without the libraries' own progress bars and advice."""
    level = logging.getLogger("diffusers").level
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.getLogger("diffusers").setLevel(level)
