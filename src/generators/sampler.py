"""The sampling loop: classifier-free guidance (Ho & Salimans 2022), optionally under a classifier's feedback.

DDIM is the reference scheduler and DPM-Solver++(2M) the approved fast one. UniPC rebuilds the latents from its
history from its second call on: in the first half of 20 or more steps it loses over 90 % of an additive update
under v-prediction and over half under epsilon, towards the end less. PNDM ignores the sample given at its second
call. Both are refused.
"""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from src.feedback.guidance import Feedback, guide
from src.generators.prediction import Noise, check_prediction_type
from src.runtime.errors import InputError

SCHEDULERS = {"ddim": DDIMScheduler, "dpmpp_2m": DPMSolverMultistepScheduler}
# DDIM clips x_0 to [-1, 1] unless told not to, which is for pixels; latents have no such range.
SETTINGS: dict[str, dict[str, Any]] = {
    "ddim": {"clip_sample": False},
    "dpmpp_2m": {"algorithm_type": "dpmsolver++", "solver_order": 2},
}
REFUSED = {
    "unipc": "from its second call on it rebuilds the latents from its history and, until near the last, loses most of "
    "the feedback's update",
    "pndm": "it ignores the sample it is given at its second call",
}

Condition = dict[str, Tensor]
Denoise = Callable[[Tensor, int, Condition], Tensor]


def scheduler(name: str, config: Any) -> DDIMScheduler | DPMSolverMultistepScheduler:
    """The named scheduler with the checkpoint's noise schedule. InputError for a refused or unknown name."""
    if name in REFUSED:
        raise InputError(f"scheduler '{name}' cannot be combined with feedback: {REFUSED[name]}; use ddim or dpmpp_2m.")
    if name not in SCHEDULERS:
        raise InputError(f"scheduler '{name}' is unknown; choose one of {', '.join(SCHEDULERS)}.")
    made = SCHEDULERS[name].from_config(config, **SETTINGS[name])
    check_prediction_type(made.config.prediction_type)
    return made


@torch.no_grad()
def sample(
    denoise: Denoise,
    steps: DDIMScheduler | DPMSolverMultistepScheduler,
    z: Tensor,
    condition: Condition,
    absent: Condition,
    labels: Tensor,
    guidance_scale: float,
    feedback: Feedback | None = None,
) -> Tensor:
    """Latents x_0 (B, C, h, w) from noise z of that shape.

    denoise: (z, t, condition) -> model output. condition, absent: what the model is told and what it is told by
    nothing, tensors with the batch first. steps: a scheduler whose timesteps are set. labels: (B,), for the
    feedback. guidance_scale: 1 means no classifier-free guidance.
    """
    kind = steps.config.prediction_type
    for i, t in enumerate(steps.timesteps.tolist()):
        alpha_bar = float(steps.alphas_cumprod[t])
        noise = Noise(alpha_bar**0.5, (1 - alpha_bar) ** 0.5)
        finish: Callable[[Tensor], Tensor] = lambda combined: combined  # noqa: E731
        z_now = z
        if feedback is not None and feedback.schedule.guides(i):

            def predict(x: Tensor, t: int = t) -> Tensor:
                return denoise(x, t, condition)

            conditional, z, finish = guide(feedback, kind, predict, z, noise, labels)
            unconditional = denoise(z_now, t, absent) if guidance_scale != 1 else conditional
        elif guidance_scale != 1:
            both = {name: torch.cat([value, condition[name]]) for name, value in absent.items()}
            unconditional, conditional = denoise(torch.cat([z, z]), t, both).chunk(2)
        else:
            unconditional = conditional = denoise(z, t, condition)
        combined = unconditional + guidance_scale * (conditional - unconditional)
        z = steps.step(finish(combined), t, z).prev_sample
    return z
