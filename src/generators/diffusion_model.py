"""A diffusion model behind a small interface: text and image conditions in, denoiser and decoder out.

Each pipeline class of diffusers that we sample (unclip.py, stable_diffusion.py, sdxl.py) is one `DiffusionModel`;
the sampler knows none of them.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny, DiffusionPipeline
from torch import Tensor

from src.generators.frozen_layers import freeze
from src.generators.sampler import Condition
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.shards.lazy_images import Images
from src.shards.pixels import prepared, resized, to_tensor


class DiffusionModel:
    """A loaded generator. All weights are frozen; latents are float32, networks run in `dtype`.

    parts: the components that hold weights. takes_image: whether an image embedding can condition it.
    wide_decoder: whether the decoder runs in float32 where float16 is asked for.
    """

    parts: tuple[str, ...] = ()
    takes_image = False
    wide_decoder = False

    def __init__(
        self, pipeline: DiffusionPipeline, device: torch.device, dtype: torch.dtype, image_size: int | None = None
    ) -> None:
        """image_size: pixels; None is the model's own. InputError if it is not a multiple of what the model needs."""
        self.pipeline, self.device, self.dtype = pipeline, device, dtype
        if image_size is None:
            image_size = int(pipeline.unet.config.sample_size * pipeline.vae_scale_factor)
        multiple = pipeline.vae_scale_factor * 2 ** (len(pipeline.unet.config.block_out_channels) - 1)
        if image_size % multiple:
            raise InputError(
                f"the generator preset's image_size={image_size} must be a multiple of {multiple}, "
                "the coarsest grid of its model"
            )
        if getattr(pipeline.vae.config, "latents_mean", None) is not None:
            raise InputError("the autoencoder's latents_mean is not heeded here, and images would be wrong without it")
        for name in self.parts:
            check_finite(f"generator's {name}", getattr(pipeline, name))
            freeze(getattr(pipeline, name).to(device))
        self.decoder_dtype = torch.float32 if self.wide_decoder and dtype == torch.float16 else dtype
        for name, precision in (("unet", dtype), ("vae", self.decoder_dtype)):
            getattr(pipeline, name).to(precision)
            if device.type == "cuda":
                getattr(pipeline, name).to(memory_format=torch.channels_last)
        self._times: dict[int, Tensor] = {}
        self.image_size, edge = image_size, image_size // pipeline.vae_scale_factor
        self.latent_shape = (int(pipeline.unet.config.in_channels), edge, edge)
        self.scheduler_config = pipeline.scheduler.config
        self.folder: Path | None = None
        self.find_tiny_decoder: Callable[[], AutoencoderTiny] | None = None
        self.tiny_decoder: AutoencoderTiny | None = None
        self.compiled = False

    def compile(self) -> None:
        """Have torch compile UNet and decoder at their first use; values change in their last digits.

        Every batch size is compiled for itself, which takes a minute or more. InputError without a C++ compiler.
        """
        compiler = os.environ.get("CXX", "g++")
        if shutil.which(compiler) is None:
            raise InputError(f"the generator preset's compile=true needs the C++ compiler {compiler}; install it")
        self.pipeline.unet.compile(dynamic=False)
        self.pipeline.vae.decoder.compile(dynamic=False)
        self.compiled = True

    def text(self, prompts: Sequence[str]) -> Condition:
        """What the denoiser is told by each prompt, one row per prompt; "" says nothing."""
        raise NotImplementedError

    def image(self, embeddings: Tensor, noise_level: int, noise: Tensor) -> Condition:
        """What the denoiser is told by image embeddings (B, D), noised to `noise_level` of 1000 if the model can."""
        raise InputError("this generator takes text alone; set synth.conditioning=text, or choose another generator")

    def no_image(self, count: int) -> Condition:
        """What stands beside `count` texts when there is no image."""
        return {}

    def absent(self, count: int, image: bool) -> Condition:
        """The unconditional half of classifier-free guidance. image: whether the other half has one."""
        return {**rows(self.text([""]), [0] * count), **self.no_image(count)}

    def embed(self, x: Tensor, rounded: bool = True) -> Tensor:
        """CLIP embeddings (B, D) of x (B, 3, H, W) in [-1, 1]; differentiable. rounded: as in `resized`."""
        if not self.takes_image:
            raise InputError("this generator has no CLIP image tower; choose another feature space or generator")
        processor, tower = self.pipeline.feature_extractor, self.pipeline.image_encoder.to(self.device)
        edge, mean, std = tower.config.image_size, processor.image_mean, processor.image_std
        return tower(pixel_values=prepared(x, self.device, edge, mean, std, rounded)).image_embeds.float()

    def text_embeddings(self, prompts: Sequence[str]) -> Tensor:
        """Prompts' CLIP embeddings (P, D), whose cosines to those of images say how well each fits."""
        raise InputError(
            "this generator comes without CLIP's text projection; name a CLIP model in the feedback preset's "
            "reference, or take merge.filter=clean"
        )

    def mean_embedding(self, embeddings: Tensor) -> Tensor:
        """The mean (D,) of image embeddings: as the model knows it, or else of those that are given (N, D)."""
        return embeddings.mean(0)

    @torch.no_grad()
    def image_embeddings(self, images: Images, batch: int = 256) -> Tensor:
        """CLIP embeddings (B, D) of images uint8 (B, H, W, 3), resized to the tower's input."""
        return torch.cat([self.embed(to_tensor(images[i : i + batch])) for i in range(0, len(images), batch)])

    def release_encoders(self) -> None:
        """Give the encoders' device memory back once all embeddings are made; their next use fetches them again."""
        for name in self.parts:
            if "encoder" in name:
                getattr(self.pipeline, name).to("cpu")

    def denoise(self, z: Tensor, t: int, condition: Condition) -> Tensor:
        """The UNet's output for latents z (B, C, h, w) at timestep t, in z's precision."""
        condition = {name: value.to(self.dtype) for name, value in condition.items()}
        if t not in self._times:  # once per timestep: a host number would wait for the device at every call
            self._times[t] = torch.tensor(t, device=z.device)
        return self.unet(z.to(self.dtype), self._times[t], condition).to(z.dtype)

    def unet(self, z: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """The network itself, everything in its own precision."""
        return self.pipeline.unet(z, t, condition["states"], return_dict=False)[0]

    def decode(self, z: Tensor) -> Tensor:
        """Images (B, 3, H, W), nominally in [-1, 1], of latents z; differentiable."""
        vae = self.pipeline.vae
        return vae.decode((z / vae.config.scaling_factor).to(self.decoder_dtype), return_dict=False)[0].to(z.dtype)

    @torch.no_grad()
    def encode(self, images: np.ndarray) -> Tensor:
        """Latents (B, C, h, w) of images uint8 (B, H, W, 3), which are resized to the model's: posterior means."""
        vae, x = self.pipeline.vae, resized(to_tensor(images).to(self.device), self.image_size)
        posterior = vae.encode(x.to(self.decoder_dtype)).latent_dist
        return posterior.mean.float() * vae.config.scaling_factor

    def decode_half(self, z: Tensor) -> Tensor:
        """An approximation: latents averaged over 2 x 2, decoded at half resolution (B, 3, H / 2, W / 2)."""
        return self.decode(F.avg_pool2d(z, 2))

    def decode_tiny(self, z: Tensor) -> Tensor:
        """An approximation: a distilled decoder such as TAESD, loaded at its first use; images as from `decode`.

        InputError if the preset names none, or it cannot be loaded.
        """
        if self.tiny_decoder is None:
            if self.find_tiny_decoder is None:
                raise InputError("feedback decoder=tiny needs the generator preset's tiny_decoder; set it to a folder")
            self.tiny_decoder = self.find_tiny_decoder()
        return self.tiny_decoder.decode(z.to(self.dtype), return_dict=False)[0].to(z.dtype)

    def decoder(self, name: str) -> Any:
        """The decoder that feedback looks through: `full` (exact), `half` or `tiny` (approximations)."""
        known = {"full": self.decode, "half": self.decode_half, "tiny": self.decode_tiny}
        chosen = choose("feedback decoder", known, name)
        if name == "tiny":  # what is missing is said now
            self.decode_tiny(torch.zeros(1, *self.latent_shape, device=self.device))
        return chosen


def check_finite(what: str, network: Any) -> None:
    """InputError if a weight of the network is missing, NaN or infinite."""
    for key, value in network.state_dict().items():
        if value.is_meta:
            raise InputError(f"the {what} lacks '{key}'; fetch or train it again")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise InputError(f"the {what} holds NaN or infinity in '{key}'; fetch or train it again")


def rows(condition: Condition, chosen: Sequence[int]) -> Condition:
    """The chosen rows of every tensor."""
    return {name: value[list(chosen)] for name, value in condition.items()}
