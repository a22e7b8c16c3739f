"""Stable unCLIP: a Stable Diffusion UNet that takes a CLIP image embedding as class embedding, beside text.

The same `from_pretrained` call loads `stable-diffusion-2-1-unclip` from a hub and the shipped tiny model from
a folder.
"""

from collections.abc import Sequence

import torch
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor

from src.generators.diffusion_model import Condition, DiffusionModel
from src.runtime.errors import InputError


class UnCLIP(DiffusionModel):
    """`states` (B, L, C) are the text's, `class_labels` (B, 2D) the image's."""

    parts = ("image_encoder", "image_normalizer", "text_encoder", "unet", "vae")
    takes_image = True

    @torch.no_grad()
    def text(self, prompts: Sequence[str]) -> Condition:
        tokenizer = self.pipeline.tokenizer
        tokens = tokenizer(
            list(prompts),
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        return {"states": self.pipeline.text_encoder.to(self.device)(tokens.input_ids.to(self.device))[0].float()}

    def image(self, embeddings: Tensor, noise_level: int, noise: Tensor) -> Condition:
        """Class labels (B, 2D): the embedding noised to `noise_level` of 1000, and that level embedded."""
        normalizer, schedule = self.pipeline.image_normalizer, self.pipeline.image_noising_scheduler
        if not 0 <= noise_level < schedule.config.num_train_timesteps:
            raise InputError(f"noise_level={noise_level} must lie in 0..{schedule.config.num_train_timesteps - 1}")
        level = torch.full((len(embeddings),), noise_level)
        scaled = normalizer.scale(embeddings)
        noised = normalizer.unscale(schedule.add_noise(scaled, noise.to(scaled), level.to(scaled.device)))
        position = get_timestep_embedding(level, embeddings.shape[1], flip_sin_to_cos=True, downscale_freq_shift=0)
        return {"class_labels": torch.cat([noised, position.to(noised)], 1)}

    def mean_embedding(self, embeddings: Tensor) -> Tensor:
        """That of the images that the model was trained on, with which it normalises embeddings before their noise."""
        return self.pipeline.image_normalizer.mean[0].to(embeddings)

    def no_image(self, count: int) -> Condition:
        """The absent image (B, 2D): all zeros, the level's embedding included, as in training."""
        width = self.pipeline.unet.class_embedding.linear_1.in_features
        return {"class_labels": torch.zeros(count, width, device=self.device)}

    def unet(self, z: Tensor, t: Tensor, condition: Condition) -> Tensor:
        states, class_labels = condition["states"], condition["class_labels"]
        return self.pipeline.unet(z, t, states, class_labels=class_labels, return_dict=False)[0]
