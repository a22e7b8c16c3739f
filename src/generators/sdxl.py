"""Stable Diffusion XL (Podell et al., arXiv 2307.01952) with an IP-Adapter (Ye et al., arXiv 2308.06721).

Two text encoders, size conditioning, and an image embedding that enters by cross-attention of its own.
"""

from collections.abc import Sequence

import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from src.generators.diffusion_model import Condition, DiffusionModel
from src.runtime.errors import InputError


class StableDiffusionXL(DiffusionModel):
    """`states` (B, L, C) and `pooled` (B, P) are the text's, `embedding` (B, 1, D) the image's."""

    wide_decoder = True  # it overflows in float16

    def __init__(
        self,
        pipeline: DiffusionPipeline,
        device: torch.device,
        dtype: torch.dtype,
        image_size: int | None = None,
        adapter_scale: float | None = None,
    ) -> None:
        """adapter_scale: strength of the IP-Adapter that the pipeline carries, None if it has none."""
        self.takes_image = adapter_scale is not None
        self.adapter_scale = adapter_scale
        self.parts = ("text_encoder", "text_encoder_2", *(["image_encoder"] * self.takes_image), "unet", "vae")
        super().__init__(pipeline, device, dtype, image_size)
        edge = float(self.image_size)
        self._sizes = torch.tensor([edge, edge, 0, 0, edge, edge], device=device)

    @torch.no_grad()
    def text(self, prompts: Sequence[str]) -> Condition:
        for encoder in (self.pipeline.text_encoder, self.pipeline.text_encoder_2):
            encoder.to(self.device)
        states, _, pooled, _ = self.pipeline.encode_prompt(
            list(prompts), device=self.device, do_classifier_free_guidance=False
        )
        return {"states": states.float(), "pooled": pooled.float()}

    def image(self, embeddings: Tensor, noise_level: int, noise: Tensor) -> Condition:
        if not self.takes_image:
            return super().image(embeddings, noise_level, noise)
        if noise_level:
            raise InputError(f"noise_level={noise_level}: an IP-Adapter knows no noise levels; set it to 0")
        return {"embedding": embeddings[:, None]}

    def absent(self, count: int, image: bool) -> Condition:
        """As the library's pipeline does it: zeros for the text if the checkpoint says so, zeros for the image."""
        condition = super().absent(count, image)
        if self.pipeline.config.force_zeros_for_empty_prompt:
            condition = {name: torch.zeros_like(value) for name, value in condition.items()}
        if image:
            width = self.pipeline.image_encoder.config.projection_dim
            condition["embedding"] = torch.zeros(count, 1, width, device=self.device)
        return condition

    def unet(self, z: Tensor, t: Tensor, condition: Condition) -> Tensor:
        sizes = self._sizes.to(z).expand(len(z), -1)
        added: dict[str, object] = {"text_embeds": condition["pooled"], "time_ids": sizes}
        if self.takes_image:
            # Without an image the adapter is off: its tokens for a zero embedding would still be tokens.
            self.pipeline.set_ip_adapter_scale(self.adapter_scale if "embedding" in condition else 0.0)
            width = self.pipeline.image_encoder.config.projection_dim
            added["image_embeds"] = [condition.get("embedding", z.new_zeros(len(z), 1, width))]
        return self.pipeline.unet(z, t, condition["states"], added_cond_kwargs=added, return_dict=False)[0]
