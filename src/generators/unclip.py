"""Stable unCLIP behind a small interface: text and image conditions in, denoiser and decoder out.

The same `from_pretrained` call loads `stable-diffusion-2-1-unclip` from a hub and the shipped tiny model from
a folder.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import torch.nn.functional as F
import transformers
from diffusers import StableUnCLIPImg2ImgPipeline
from diffusers.models.embeddings import get_timestep_embedding
from safetensors import SafetensorError, safe_open
from torch import Tensor

from src.data.images import to_tensor
from src.errors import InputError
from src.files import read_json

COMPONENTS = ("image_encoder", "image_normalizer", "text_encoder", "unet", "vae")
PIPELINES = ("StableUnCLIPImg2ImgPipeline", "StableUnCLIPPipeline")


class UnCLIP:
    """A loaded generator. All weights are frozen; states and latents are float32, networks run in `dtype`."""

    def __init__(self, pipeline: StableUnCLIPImg2ImgPipeline, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.pipeline = pipeline
        self.check_weights()
        for name in COMPONENTS:
            getattr(pipeline, name).to(device).requires_grad_(False).eval()
        edge = pipeline.unet.config.sample_size
        self.latent_shape = (int(pipeline.unet.config.in_channels), edge, edge)
        self.image_size = edge * pipeline.vae_scale_factor
        self.scheduler_config = pipeline.scheduler.config

    def check_weights(self) -> None:
        """InputError if a weight is missing, NaN or infinite."""
        for name in COMPONENTS:
            for key, value in getattr(self.pipeline, name).state_dict().items():
                if value.is_meta:
                    raise InputError(f"the generator's {name} lacks '{key}'; fetch or train it again")
                if value.is_floating_point() and not torch.isfinite(value).all():
                    raise InputError(
                        f"the generator's {name} holds NaN or infinity in '{key}'; fetch or train it again"
                    )

    @torch.no_grad()
    def text_states(self, prompts: Sequence[str]) -> Tensor:
        """Hidden states (B, L, C) of the prompts; "" is the absent text."""
        words = self.pipeline.tokenizer
        tokens = words(
            list(prompts),
            padding="max_length",
            max_length=words.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        return self.pipeline.text_encoder(tokens.input_ids.to(self.device))[0].float()

    @torch.no_grad()
    def image_embeddings(self, images: np.ndarray, batch: int = 256) -> Tensor:
        """CLIP embeddings (B, D) of images uint8 (B, H, W, 3), resized to the tower's input."""
        return torch.cat([self.embed(to_tensor(images[i : i + batch])) for i in range(0, len(images), batch)])

    def embed(self, x: Tensor) -> Tensor:
        """CLIP embeddings (B, D) of x (B, 3, H, W) in [-1, 1]; differentiable."""
        processor, tower = self.pipeline.feature_extractor, self.pipeline.image_encoder
        edge = tower.config.image_size
        x = x.to(self.device)
        if x.shape[-2:] != (edge, edge):
            x = F.interpolate(x, size=(edge, edge), mode="bicubic", antialias=True)
        mean, std = (
            torch.tensor(v, device=x.device).reshape(3, 1, 1) for v in (processor.image_mean, processor.image_std)
        )
        return tower(pixel_values=((x + 1) / 2 - mean) / std).image_embeds.float()

    def class_labels(self, embeddings: Tensor, noise_level: int, noise: Tensor) -> Tensor:
        """The image condition (B, 2D): embedding noised to `noise_level` of 1000, and that level embedded."""
        normalizer, schedule = self.pipeline.image_normalizer, self.pipeline.image_noising_scheduler
        if not 0 <= noise_level < schedule.config.num_train_timesteps:
            raise InputError(f"noise_level={noise_level} must lie in 0..{schedule.config.num_train_timesteps - 1}")
        level = torch.full((len(embeddings),), noise_level)
        scaled = normalizer.scale(embeddings)
        noised = normalizer.unscale(schedule.add_noise(scaled, noise.to(scaled), level.to(scaled.device)))
        position = get_timestep_embedding(level, embeddings.shape[1], flip_sin_to_cos=True, downscale_freq_shift=0)
        return torch.cat([noised, position.to(noised)], 1)

    def no_image(self, count: int) -> Tensor:
        """The absent image condition (B, 2D): all zeros, the level's embedding included, as in training."""
        width = self.pipeline.unet.class_embedding.linear_1.in_features
        return torch.zeros(count, width, device=self.device)

    def denoise(self, z: Tensor, t: int, states: Tensor, class_labels: Tensor) -> Tensor:
        """The UNet's output for latents z (B, C, h, w) at timestep t, in z's precision."""
        z_in, states, class_labels = (v.to(self.dtype) for v in (z, states, class_labels))
        return self.pipeline.unet(z_in, t, states, class_labels=class_labels, return_dict=False)[0].to(z.dtype)

    def decode(self, z: Tensor) -> Tensor:
        """Images (B, 3, H, W), nominally in [-1, 1], of latents z; differentiable."""
        vae = self.pipeline.vae
        return vae.decode((z / vae.config.scaling_factor).to(self.dtype), return_dict=False)[0].to(z.dtype)


def load(path: str, revision: str | None, device: torch.device) -> UnCLIP:
    """Load a Stable unCLIP from a folder or a hub: safetensors only, no remote code.

    Raises InputError if it is missing, incomplete, damaged, or another kind of pipeline.
    """
    if Path(path).exists() or path.startswith((".", "/", "models")):
        _check_folder(Path(path))
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    try:
        with quiet():
            pipeline = StableUnCLIPImg2ImgPipeline.from_pretrained(
                path, revision=revision, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
            )
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise InputError(
            f"the generator '{path}' cannot be loaded ({reason}); download the model (mirror: "
            "sd2-community/stable-diffusion-2-1-unclip) and set generators.<name>.path to its folder, or use "
            "generator=tiny_unclip"
        ) from error
    made = UnCLIP(pipeline, device, dtype)
    with quiet():
        for name in ("unet", "vae"):
            getattr(pipeline, name).to(dtype)
    return made


def _check_folder(folder: Path) -> None:
    """A local generator must have every part its index names, and weights as safetensors that are whole."""
    cure = "restore it with `git checkout -- models`, or set generators.<name>.path to a diffusers folder"
    index: Mapping[str, Any] = {}
    if (folder / "model_index.json").is_file():
        index = read_json(folder / "model_index.json")
    if not index:
        raise InputError(f"the generator folder {folder} has no model_index.json; {cure}")
    if index.get("_class_name") not in PIPELINES:
        raise InputError(f"{folder} holds a {index.get('_class_name')}, not a {PIPELINES[0]}; {cure}")
    for part in (name for name in index if not name.startswith("_")):
        if not (folder / part).is_dir():
            raise InputError(f"the generator folder {folder} lacks its part '{part}'; {cure}")
    for part in COMPONENTS:
        weights = sorted((folder / part).glob("*.safetensors"))
        if not weights:
            raise InputError(f"the generator folder {folder} lacks the weights of '{part}' (*.safetensors); {cure}")
        for file in weights:
            _check_safetensors(file, cure)


def _check_safetensors(path: Path, cure: str) -> None:
    """InputError unless the file is as long as its header says."""
    with open(path, "rb") as file:
        head = file.read(8)
        length = int.from_bytes(head, "little")
        size = os.path.getsize(path)
        if len(head) < 8 or size < 8 + length:
            raise InputError(f"{path} is truncated; {cure}")
    try:
        with safe_open(path, framework="pt"):
            pass
    except SafetensorError:
        raise InputError(f"{path} is truncated or damaged; {cure}") from None


@contextmanager
def quiet() -> Any:
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
