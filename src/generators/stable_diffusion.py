"""Stable Diffusion 1.5 and 2.1 (Rombach et al., CVPR 2022): text alone."""

from collections.abc import Sequence

import torch

from src.generators.diffusion_model import Condition, DiffusionModel


class StableDiffusion(DiffusionModel):
    """`states` (B, L, C) are the text's."""

    parts = ("text_encoder", "unet", "vae")

    @torch.no_grad()
    def text(self, prompts: Sequence[str]) -> Condition:
        self.pipeline.text_encoder.to(self.device)
        return {"states": self.pipeline.encode_prompt(list(prompts), self.device, 1, False)[0].float()}
