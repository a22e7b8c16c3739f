"""What a fit of a generator to images works on, and the diffusion loss."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from torch import Tensor

from src.data.grouping import indices_by_key
from src.generators.diffusion_model import DiffusionModel
from src.generators.sampler import Condition
from src.runtime.errors import InputError
from src.runtime.seeds import torch_generator
from src.settings.sections import FitSettings
from src.shards.lazy_images import Images


@dataclass(frozen=True)
class FitTask:
    """images: uint8 (N, H, W, 3) of classes `labels` (N,). words: what each class is called, and `prompts` that say so;
    taught: the prompts with a learnt word in its place. checkpoint: where an unfinished fit lies."""

    settings: FitSettings
    images: Images
    labels: np.ndarray
    words: tuple[str, ...]
    prompts: tuple[str, ...]
    taught: tuple[str, ...]
    seed: int
    checkpoint: Path
    device: torch.device

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.words)

    @cached_property
    def _places(self) -> list[np.ndarray]:
        """Of every class that has images, their positions."""
        return indices_by_key(self.labels)[1]

    def draw(self, purpose: str, step: int) -> tuple[np.ndarray, torch.Generator]:
        """Positions (B,) of a batch's images, every class equally likely, and the step's randomness."""
        generator = torch_generator(purpose, self.seed, step)
        classes = torch.randint(len(self._places), (self.settings.batch,), generator=generator)
        chance = torch.rand(self.settings.batch, generator=generator)
        pools = [self._places[k] for k in classes.tolist()]
        return np.array([pool[int(u * len(pool))] for pool, u in zip(pools, chance, strict=True)]), generator


class DiffusionLoss:
    """The mean squared error of a model's output on images, at random timesteps.

    Ho et al. 2020; under v-prediction Salimans & Ho 2022.
    """

    def __init__(self, generator: DiffusionModel) -> None:
        """InputError for networks in float16, whose gradients would need scaling."""
        if generator.dtype == torch.float16:
            raise InputError("a generator is not fitted in float16; set the preset's precision to bfloat16 or float32")
        self.generator = generator
        self.schedule = DDPMScheduler.from_config(generator.scheduler_config)

    def __call__(self, images: np.ndarray, condition: Condition, draws: torch.Generator) -> Tensor:
        """Of images uint8 (B, H, W, 3) under what they are told. draws: on the CPU."""
        generator, schedule = self.generator, self.schedule
        latents = generator.encode(images)
        noise = torch.randn(latents.shape, generator=draws).to(latents)
        t = torch.randint(schedule.config.num_train_timesteps, (len(latents),), generator=draws).to(latents.device)
        z = schedule.add_noise(latents, noise, t)
        kind = schedule.config.prediction_type
        target = {"epsilon": noise, "sample": latents}.get(kind)
        if target is None:
            target = schedule.get_velocity(latents, noise, t)
        told = {name: value.to(generator.dtype) for name, value in condition.items()}
        return F.mse_loss(generator.unet(z.to(generator.dtype), t, told).float(), target)


Fit = Callable[[FitTask, Callable[[], DiffusionModel]], dict[str, Tensor]]
"""What is fitted, by tensors' names; the second argument loads the generator."""
