"""Stable unCLIP: a Stable Diffusion UNet that takes a CLIP image embedding as class embedding, beside text.

The same `from_pretrained` call loads `stable-diffusion-2-1-unclip` from a hub and the shipped tiny model from
a folder.
"""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor

from src.generators.diffusion_model import Condition, DiffusionModel
from src.generators.model_folder import ZERO_SHOT
from src.runtime.checkpoint_file import load_checkpoint
from src.runtime.errors import InputError


class UnCLIP(DiffusionModel):
    """`states` (B, L, C) are the text's, `class_labels` (B, 2D) the image's."""

    parts = ("image_encoder", "image_normalizer", "text_encoder", "unet", "vae")
    takes_image = True

    def text(self, prompts: Sequence[str]) -> Condition:
        return {"states": self._encoded(prompts).last_hidden_state.float()}

    def text_embeddings(self, prompts: Sequence[str]) -> Tensor:
        """By the text projection that the shipped generator has beside its pipeline; others ship without one."""
        saved = None if self.folder is None else load_checkpoint(self.folder / ZERO_SHOT)
        if saved is None:
            return super().text_embeddings(prompts)
        return self._encoded(prompts).pooler_output.float() @ saved[0]["weight"].float().to(self.device).T

    @torch.no_grad()
    def _encoded(self, prompts: Sequence[str]) -> Any:
        tokens = self.pipeline.tokenizer(list(prompts), padding="max_length", truncation=True, return_tensors="pt")
        return self.pipeline.text_encoder.to(self.device)(tokens.input_ids.to(self.device))

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
