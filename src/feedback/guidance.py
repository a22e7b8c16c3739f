"""A denoiser that listens to a classifier: feedback wraps, the sampler does not know it (arXiv 2310.00158).

At a guided step: predict x0_hat from z_t, decode it, show it to the classifier, and take the criterion's
gradient g with respect to z_t. Rule `latent` moves z_t by w ||z|| g / ||g||; rule `score` moves the model
output by w g. Everything is per sample. The gradient flows through the conditional half of classifier-free
guidance, whose forward is reused for the output, and is split at x0_hat so that decoder and classifier run in
micro-batches; both are exact.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from src.generators.prediction import Noise, score_guided, x0_hat
from src.runtime.errors import InputError
from src.settings.checks import flag, number, whole

RULES = ("latent", "score")


@dataclass(frozen=True)
class Schedule:
    """When and how hard to guide: scale w, every n-th step from `first` to `last` (inclusive; None: no end).

    mix: the classifier sees s x0_hat + (1 - s) z_t decoded, as in the released code, instead of x0_hat.
    stop_gradient: an approximation that takes the model's noise estimate as constant, d x0_hat / d z_t = 1 / a, and
    so spares the network's backward.
    """

    scale: float
    every: int
    first: int
    last: int | None
    rule: str
    mix: bool = False
    stop_gradient: bool = False

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise InputError(f"feedback rule '{self.rule}' is unknown; choose one of {', '.join(RULES)}.")
        if self.every < 1 or self.first < 0 or (self.last is not None and self.last < self.first):
            raise InputError(
                "feedback needs every >= 1 and 0 <= first <= last; check the feedback preset in params.yaml."
            )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Schedule":
        last = values["last"]
        return cls(
            number("feedback scale", values["scale"]),
            whole("feedback every", values["every"]),
            whole("feedback first", values["first"]),
            None if last is None else whole("feedback last", last),
            values["rule"],
            flag("feedback mix", values["mix"]),
            flag("feedback stop_gradient", values["stop_gradient"]),
        )

    def guides(self, step: int) -> bool:
        """Whether this step is guided. A scale of zero guides nowhere."""
        inside = step >= self.first and (self.last is None or step <= self.last)
        return self.scale != 0 and inside and (step - self.first) % self.every == 0


@dataclass
class Trace:
    """What guidance did: the criterion (B,) at the first guided step; updates and refusals per sample."""

    before: Tensor | None = None
    updates: Tensor | int = 0
    skipped: Tensor | int = 0


@dataclass(frozen=True)
class Feedback:
    """`value(images (b, 3, H, W) in [-1, 1], labels (b,)) -> (b,)` uphill, along `schedule`.

    decode: latents to the images that the classifier sees. micro_batch: images per pass of decoder and classifier.
    loss_scale: keeps float16 gradients from underflowing; a power of two, so that it changes no digit.
    """

    value: Callable[[Tensor, Tensor], Tensor]
    schedule: Schedule
    decode: Callable[[Tensor], Tensor]
    micro_batch: int = 64
    loss_scale: float = 1.0
    trace: Trace = field(default_factory=Trace)


def per_sample(vector: Tensor, like: Tensor) -> Tensor:
    """(B,) shaped to multiply (B, ...)."""
    return vector.reshape(-1, *[1] * (like.dim() - 1))


def unit(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Each sample's gradient at norm 1, and which samples have one (B,): zero and non-finite ones are 0.

    Scaled by the largest entry first, so that the smallest normal numbers keep their direction too.
    """
    flat = gradient.flatten(1)
    peak = flat.abs().amax(1)
    usable = torch.isfinite(flat).all(1) & (peak > 0)
    scaled = torch.where(usable[:, None], flat / torch.where(usable, peak, 1)[:, None], 0)
    norm = torch.where(usable, scaled.norm(dim=1), 1)
    return (scaled / norm[:, None]).view_as(gradient), usable


def criterion_gradient(feedback: Feedback, x0: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of the summed criterion at x0 (B, C, h, w), times loss_scale, and the criterion (B,)."""
    gradients, values = [], []
    for part, y in zip(x0.detach().split(feedback.micro_batch), labels.split(feedback.micro_batch), strict=True):
        with torch.enable_grad():
            part.requires_grad_()
            value = feedback.value(feedback.decode(part), y)
            gradients.append(torch.autograd.grad(value.sum() * feedback.loss_scale, part)[0])
        values.append(value.detach())
    return torch.cat(gradients), torch.cat(values)


def guide(
    feedback: Feedback,
    prediction_type: str,
    predict: Callable[[Tensor], Tensor],
    z: Tensor,
    noise: Noise,
    labels: Tensor,
) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
    """One guided prediction: conditional output (B, ...), latents to step from, and a map of the CFG output.

    predict: z -> conditional model output. A sample whose gradient is zero or not finite stays unguided and
    is counted.
    """
    schedule, trace = feedback.schedule, feedback.trace
    with torch.set_grad_enabled(not schedule.stop_gradient):
        z_in = z.detach().requires_grad_(not schedule.stop_gradient)
        output = predict(z_in)
        x0 = x0_hat(prediction_type, z_in, output, noise)
        seen = noise.s * x0 + (1 - noise.s) * z_in if schedule.mix else x0
        at_seen, value = criterion_gradient(feedback, seen, labels)
        if schedule.stop_gradient:
            g = at_seen * (noise.s / noise.a + (1 - noise.s) if schedule.mix else 1 / noise.a)
        else:
            g = torch.autograd.grad(seen, z_in, grad_outputs=at_seen)[0]
    direction, usable = unit(g)
    trace.before = value if trace.before is None else trace.before
    trace.updates = trace.updates + usable.int()
    trace.skipped = trace.skipped + (~usable).int()
    if schedule.rule == "latent":
        length = schedule.scale * z.flatten(1).norm(dim=1)
        moved = z + per_sample(torch.where(usable, length, 0), z) * direction
        return output.detach(), moved, lambda combined: combined
    safe = torch.where(per_sample(usable, g), g, 0)
    return (
        output.detach(),
        z,
        lambda combined: score_guided(prediction_type, combined, schedule.scale / feedback.loss_scale * safe, noise),
    )
