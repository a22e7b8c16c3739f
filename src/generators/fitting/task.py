"""What a fit of a generator to images works on, and the diffusion loss."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from torch import Tensor

from src.generators.diffusion_model import DiffusionModel
from src.generators.sampler import Condition
from src.runtime.seeds import torch_generator
from src.settings.sections import FitSettings
from src.shards.lazy_images import Images


@dataclass(frozen=True)
class FitTask:
    """images: uint8 (N, H, W, 3) of classes `labels` (N,) with these `names`; checkpoint: where an unfinished fit lies;
    template: of a prompt, with {class}."""

    settings: FitSettings
    images: Images
    labels: np.ndarray
    names: tuple[str, ...]
    template: str
    seed: int
    checkpoint: Path
    device: torch.device

    def draw(self, purpose: str, step: int) -> tuple[np.ndarray, torch.Generator]:
        """Positions (B,) of a batch's images, every class equally likely, and the step's randomness."""
        generator = torch_generator(purpose, self.seed, step)
        present = torch.from_numpy(np.unique(self.labels))
        classes = present[torch.randint(len(present), (self.settings.batch,), generator=generator)]
        chance = torch.rand(self.settings.batch, generator=generator)
        pools = [np.flatnonzero(self.labels == int(k)) for k in classes]
        return np.array([pool[int(u * len(pool))] for pool, u in zip(pools, chance, strict=True)]), generator


def encode_all(generator: DiffusionModel, images: Images, batch: int = 64) -> Tensor:
    """Latents (N, C, h, w) of all images, on the CPU."""
    return torch.cat([generator.encode(images[i : i + batch]).cpu() for i in range(0, len(images), batch)])


def diffusion_loss(
    generator: DiffusionModel, latents: Tensor, condition: Condition, draws: torch.Generator
) -> Tensor:  # fmt: skip
    """The mean squared error of the model's output at a random timestep for each of the latents (B, C, h, w).

    Ho et al. 2020; under v-prediction Salimans & Ho 2022. draws: on the CPU.
    """
    schedule = DDPMScheduler.from_config(generator.scheduler_config)
    noise = torch.randn(latents.shape, generator=draws).to(latents)
    t = torch.randint(schedule.config.num_train_timesteps, (len(latents),), generator=draws).to(latents.device)
    z = schedule.add_noise(latents, noise, t)
    target = {
        "epsilon": lambda: noise,
        "v_prediction": lambda: schedule.get_velocity(latents, noise, t),
        "sample": lambda: latents,
    }[schedule.config.prediction_type]()
    told = {name: value.to(generator.dtype) for name, value in condition.items()}
    return F.mse_loss(generator.unet(z.to(generator.dtype), t, told).float(), target)


Fit = Callable[[FitTask, Callable[[], DiffusionModel]], dict[str, Tensor]]
"""What is fitted, by tensors' names; the second argument loads the generator."""
