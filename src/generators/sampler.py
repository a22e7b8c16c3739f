"""The sampling loop and classifier-free guidance (Ho & Salimans 2022); whatever else guides wraps the prediction.

DDIM is the reference scheduler and DPM-Solver++(2M) the approved fast one. UniPC rebuilds the latents from its
history from its second call on: in the first half of 20 or more steps it loses over 90 % of an additive update
under v-prediction and over half under epsilon, towards the end less. PNDM ignores the sample given at its second
call. Both are refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from src.generators.prediction import PREDICTION_TYPES, Noise
from src.runtime.choices import choose
from src.runtime.errors import InputError

SCHEDULERS = {"ddim": DDIMScheduler, "dpmpp_2m": DPMSolverMultistepScheduler}
# DDIM clips x_0 to [-1, 1] unless told not to, which is for pixels; latents have no such range.
SETTINGS: dict[str, dict[str, Any]] = {
    "ddim": {"clip_sample": False},
    "dpmpp_2m": {"algorithm_type": "dpmsolver++", "solver_order": 2},
}
ROUNDING = 0.05  # of the noise schedule, that the released 30 steps of DDIM (t = 958 first) stay well within
REFUSED = {
    "unipc": "from its second call on it rebuilds the latents from its history and, until near the last, loses most of "
    "the feedback's update",
    "pndm": "it ignores the sample it is given at its second call",
}

Scheduler: TypeAlias = DDIMScheduler | DPMSolverMultistepScheduler
Condition = dict[str, Tensor]
"""What the denoiser is told, by name; every tensor has the batch first."""
Denoise = Callable[[Tensor, int, Condition], Tensor]
"""(z (B, C, h, w), timestep, condition) -> the model's output, shaped as z."""


class Step(NamedTuple):
    """A step of sampling: its number from 0, the timestep of the noise schedule, and the noise level there."""

    number: int
    t: int
    noise: Noise


Predict = Callable[[Tensor, Step], tuple[Tensor, Tensor]]
"""(z, step) -> the model output to step with, and the latents to step from; both shaped as z."""


@dataclass(frozen=True)
class ClassifierFreeGuidance:
    """The plain `Predict`: o = o_absent + w (o_condition - o_absent), Ho & Salimans 2022, eq. 6 with w = 1 + their w.

    prediction_type: what the output means, see `src.generators.prediction`. absent: what the model is told by nothing.
    scale: w; 1 means no guidance, and `absent` is then never asked for.
    """

    denoise: Denoise
    prediction_type: str
    condition: Condition
    absent: Condition
    scale: float

    def __call__(self, z: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        if self.scale == 1:
            return self.combined(z, step, self.conditional(z, step)), z
        both = {name: torch.cat([value, self.condition[name]]) for name, value in self.absent.items()}
        absent, conditional = self.denoise(torch.cat([z, z]), step.t, both).chunk(2)
        return self._combined(absent, conditional), z

    def conditional(self, z: Tensor, step: Step) -> Tensor:
        """The conditional half alone; differentiable."""
        return self.denoise(z, step.t, self.condition)

    def combined(self, z: Tensor, step: Step, conditional: Tensor) -> Tensor:
        """The output at z, whose conditional half is known already."""
        absent = self.denoise(z, step.t, self.absent) if self.scale != 1 else conditional
        return self._combined(absent, conditional)

    def _combined(self, absent: Tensor, conditional: Tensor) -> Tensor:
        return absent + self.scale * (conditional - absent)


def scheduler(name: str, config: Any) -> Scheduler:
    """The named scheduler with the checkpoint's noise schedule. InputError for a refused or unknown name."""
    if name in REFUSED:
        raise InputError(f"scheduler '{name}' cannot be combined with feedback: {REFUSED[name]}; use ddim or dpmpp_2m.")
    kind = choose("scheduler", SCHEDULERS, name)
    if "beta_schedule" not in config:
        raise InputError(
            f"the generator's own {config.get('_class_name', 'scheduler')} has no betas (EDM or flow matching), "
            "which every scheduler here needs; choose another generator"
        )
    chosen = kind.from_config(config, **SETTINGS[name])
    choose("prediction type", dict.fromkeys(PREDICTION_TYPES), chosen.config.prediction_type)
    return chosen


def set_steps(schedule: Scheduler, steps: int) -> None:
    """Set the timesteps of so many steps. InputError for a number that the noise schedule cannot be divided into.

    Schedulers whose spacing is a whole number, rounded down, start too low where it does not divide the schedule: DDIM
    with 501 steps at t = 501 of 1000, from noise that it takes for half an image.
    """
    if not _divides(schedule, steps):
        known = range(1, schedule.config.num_train_timesteps + 1)
        near = next(n for n in sorted(known, key=lambda n: (abs(n - steps), n)) if _divides(schedule, n))
        raise InputError(
            f"the generator preset's steps={steps} do not divide the {len(known)} of its noise schedule: sampling "
            f"would begin far below full noise; set steps to {near}, the nearest number that does"
        )
    schedule.set_timesteps(steps)
    if schedule.config.prediction_type == "epsilon" and schedule.alphas_cumprod[schedule.timesteps[0]] == 0:
        raise InputError(
            "scheduler 'ddim' would begin at pure noise (rescale_betas_zero_snr) with a model that predicts the noise, "
            "which says nothing of the image there; use dpmpp_2m, or another generator"
        )


def _divides(schedule: Scheduler, steps: int) -> bool:
    """Whether the first step is as near to full noise as steps of their size allow, give or take ROUNDING."""
    whole = schedule.config.num_train_timesteps
    if steps > whole:
        return False
    schedule.set_timesteps(steps)
    first, *others = schedule.timesteps.tolist()
    size = first - others[0] if others else whole
    return first < whole and whole - first <= size + ROUNDING * whole and len({first, *others}) == 1 + len(others)


def steps_of(schedule: Scheduler) -> Iterator[Step]:
    """The steps of a scheduler whose timesteps are set, from noise to image."""
    for number, t in enumerate(schedule.timesteps.tolist()):
        alpha_bar = float(schedule.alphas_cumprod[t])
        yield Step(number, t, Noise(alpha_bar**0.5, (1 - alpha_bar) ** 0.5))


@torch.no_grad()
def sample(predict: Predict, schedule: Scheduler, z: Tensor, first: int = 0) -> Tensor:
    """Latents x_0 (B, C, h, w) from noise z of that shape, along a scheduler whose timesteps are set.

    first: the step to begin at, of whose noise level z then is.
    """
    for step in islice(steps_of(schedule), first, None):
        output, z = predict(z, step)
        z = schedule.step(output, step.t, z).prev_sample
    return z
