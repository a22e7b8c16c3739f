"""A denoiser, decoder and classifier of a few lines each, in float64: guidance is checked to the last digit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from src.feedback.guidance import Feedback, Trace
from src.generators.prediction import Noise
from src.generators.sampler import ClassifierFreeGuidance, Denoise, Predict, Scheduler, Step, sample, scheduler
from src.settings.sections import FeedbackSettings
from tests.feedback.settings import feedback_settings

SHAPE = (2, 4, 4)
CLASSES = 4
KERNEL, TO_PIXELS, TO_LOGITS = (
    torch.randn(*shape, generator=torch.Generator().manual_seed(i), dtype=torch.float64) / fan_in**0.5
    for i, (shape, fan_in) in enumerate((((2, 2, 3, 3), 18), ((3, 2, 1, 1), 2), ((CLASSES, 48), 6)))
)


def denoise(z: Tensor, t: int, condition: dict[str, Tensor]) -> Tensor:
    """Nonlinear in z (B, 2, 4, 4), and different for every timestep and condition."""
    shift = (condition["states"].mean(1) + condition["class_labels"])[:, :, None, None].to(z)
    return 0.4 * z + torch.tanh(F.conv2d(z, KERNEL.to(z), padding=1) * (0.5 + t / 1000) + shift)


def decode(z: Tensor) -> Tensor:
    """Images (B, 3, 4, 4) in (-1, 1)."""
    return torch.tanh(F.conv2d(z, TO_PIXELS.to(z)))


def value(images: Tensor, labels: Tensor) -> Tensor:
    """The loss of a linear classifier."""
    return F.cross_entropy(images.flatten(1) @ TO_LOGITS.to(images).T, labels, reduction="none")


def noise_schedule(name: str, prediction_type: str, steps: int = 8) -> Scheduler:
    """Stable Diffusion's noise schedule. DDIM's table is float64, so that a reference can agree to 1e-12."""
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    config = {**betas, "steps_offset": 1, "set_alpha_to_one": False, "prediction_type": prediction_type}
    chosen = scheduler(name, config)
    if name == "ddim":
        chosen.alphas_cumprod = chosen.alphas_cumprod.double()
        chosen.final_alpha_cumprod = chosen.alphas_cumprod[0]
    chosen.set_timesteps(steps)
    return chosen


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


@dataclass
class Listener:
    """A feedback, how many images it looks at together, and what it did when it last was listened to."""

    value: Callable[[Tensor, Tensor], Tensor]
    settings: FeedbackSettings
    decode: Callable[[Tensor], Tensor]
    micro_batch: int = 64
    loss_scale: float = 1.0
    trace: Trace = field(default_factory=Trace)

    def wrap(self, denoiser: ClassifierFreeGuidance, labels: Tensor) -> Predict:
        feedback = Feedback(self.value, self.settings, self.decode, self.loss_scale)
        predict, self.trace = feedback.wrap(denoiser, labels, self.micro_batch, range(len(labels)))
        return predict


def scheduled(
    scale: float, every: int, first: int, last: int | None, rule: str, mix: bool = False, stop_gradient: bool = False
) -> FeedbackSettings:
    return feedback_settings(
        scale=scale, every=every, first=first, last=last, rule=rule, mix=mix, stop_gradient=stop_gradient
    )


def feedback(
    scale: float,
    rule: str = "latent",
    judge: Callable[[Tensor, Tensor], Tensor] = value,
    micro_batch: int = 64,
    every: int = 3,
    mix: bool = False,
    stop_gradient: bool = False,
    loss_scale: float = 1.0,
) -> Listener:
    """Feedback at every third step from the first."""
    return Listener(judge, scheduled(scale, every, 0, None, rule, mix, stop_gradient), decode, micro_batch, loss_scale)


class OneHalf:
    """The conditional half of a denoiser, which it makes zeros of; `output` is the half that it was given back."""

    def __init__(self, prediction_type: str, predict: Callable[[Tensor], Tensor]) -> None:
        self.prediction_type, self.predict = prediction_type, predict

    def __call__(self, z: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        self.output = self.predict(z)
        return torch.zeros_like(z), z

    def conditional(self, z: Tensor, step: Step) -> Tensor:
        return self.predict(z)

    def combined(self, z: Tensor, step: Step, conditional: Tensor) -> Tensor:
        self.output = conditional
        return torch.zeros_like(z)


def guide(
    listens: Listener, kind: str, predict: Callable[[Tensor], Tensor], z: Tensor, noise: Noise, labels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One guided prediction: the conditional output, the latents to step from, and what is added to zeros."""
    denoiser: Any = OneHalf(kind, predict)
    added, moved = listens.wrap(denoiser, labels)(z, Step(0, 0, noise))
    return denoiser.output, moved, added


def sampled(
    network: Denoise, steps: Scheduler, listens: Listener | None, inputs: dict[str, Any], scale: float = 3.0
) -> Tensor:
    """Latents of the batch, sampled with classifier-free guidance `scale`."""
    kind = steps.config.prediction_type
    denoiser = ClassifierFreeGuidance(network, kind, inputs["condition"], inputs["absent"], scale)
    predict = denoiser if listens is None else listens.wrap(denoiser, inputs["labels"])
    return sample(predict, steps, inputs["z"])


def run(
    name: str, prediction_type: str, listens: Listener | None, inputs: dict[str, Any], scale: float = 3.0
) -> Tensor:
    """The fakes' latents."""
    return sampled(denoise, noise_schedule(name, prediction_type), listens, inputs, scale)
