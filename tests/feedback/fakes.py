"""A denoiser, decoder and classifier of a few lines each, in float64: guidance is checked to the last digit."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from src.feedback.guidance import Feedback, Schedule
from src.generators.sampler import sample, scheduler

SHAPE = (2, 4, 4)
CLASSES = 4
KERNEL, TO_PIXELS, TO_LOGITS = (
    torch.randn(*shape, generator=torch.Generator().manual_seed(i), dtype=torch.float64) / fan_in**0.5
    for i, (shape, fan_in) in enumerate((((2, 2, 3, 3), 18), ((3, 2, 1, 1), 2), ((CLASSES, 48), 6)))
)


def denoise(z: Tensor, t: int, condition: dict[str, Tensor]) -> Tensor:
    """Nonlinear in z (B, 2, 4, 4), and different for every timestep and condition."""
    told = (condition["states"].mean(1) + condition["class_labels"])[:, :, None, None].to(z)
    return 0.4 * z + torch.tanh(F.conv2d(z, KERNEL.to(z), padding=1) * (0.5 + t / 1000) + told)


def decode(z: Tensor) -> Tensor:
    """Images (B, 3, 4, 4) in (-1, 1)."""
    return torch.tanh(F.conv2d(z, TO_PIXELS.to(z)))


def value(images: Tensor, labels: Tensor) -> Tensor:
    """The loss of a linear classifier."""
    return F.cross_entropy(images.flatten(1) @ TO_LOGITS.to(images).T, labels, reduction="none")


def noise_schedule(name: str, prediction_type: str, steps: int = 8) -> DDIMScheduler | DPMSolverMultistepScheduler:
    """Stable Diffusion's noise schedule. DDIM's table is float64, so that a reference can agree to 1e-12."""
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    config = {**betas, "steps_offset": 1, "set_alpha_to_one": False, "prediction_type": prediction_type}
    made = scheduler(name, config)
    if name == "ddim":
        made.alphas_cumprod = made.alphas_cumprod.double()
        made.final_alpha_cumprod = made.alphas_cumprod[0]
    made.set_timesteps(steps)
    return made


def batch(count: int, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    """Noise, conditions and labels of `count` images; a smaller batch is the beginning of a larger one."""
    draws = [torch.Generator().manual_seed(i) for i in range(count)]
    z, states, class_labels = (
        torch.stack([torch.randn(shape, generator=g, dtype=torch.float64) for g in draws]).to(dtype)
        for shape in (SHAPE, (3, 2), (2,))
    )
    return {
        "z": z,
        "condition": {"states": states, "class_labels": class_labels},
        "absent": {"states": torch.zeros_like(states), "class_labels": torch.zeros_like(class_labels)},
        "labels": torch.arange(count) % CLASSES,
    }


def feedback(
    scale: float,
    rule: str = "latent",
    judge: Callable[[Tensor, Tensor], Tensor] = value,
    micro_batch: int = 64,
    every: int = 3,
    mix: bool = False,
    stop_gradient: bool = False,
    loss_scale: float = 1.0,
) -> Feedback:
    """Feedback at every third step from the first."""
    schedule = Schedule(scale, every, 0, None, rule, mix, stop_gradient)
    return Feedback(judge, schedule, decode, micro_batch, loss_scale)


def run(
    name: str, prediction_type: str, listens: Feedback | None, inputs: dict[str, Any], scale: float = 3.0
) -> Tensor:
    """Latents of the batch, sampled with classifier-free guidance `scale`."""
    return sample(denoise, noise_schedule(name, prediction_type), guidance_scale=scale, feedback=listens, **inputs)
