"""A denoiser that listens to a classifier: feedback wraps, the sampler does not know it (arXiv 2310.00158, sec. 3).

At a guided step: predict x0_hat from z_t, decode it, show it to the classifier, and take the criterion's
gradient g with respect to z_t. Rule `latent` moves z_t, rule `score` the model output. Everything is per sample. The
gradient flows through the conditional half of classifier-free guidance, whose forward is reused for the output, and is
split at x0_hat so that decoder and classifier run in micro-batches; both are exact.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from src.classifiers.models import Classifier
from src.feedback.classifier_criterion import Value, feedback_value
from src.generators.diffusion_model import DiffusionModel
from src.generators.prediction import Noise, x0_hat
from src.generators.sampler import ClassifierFreeGuidance, Predict, Step
from src.runtime.errors import InputError
from src.settings.sections import FeedbackSettings
from src.shards.lazy_images import Images

RULES = ("latent", "score")


@dataclass
class Trace:
    """What guidance did: the criterion (B,) at the first guided step; updates and refusals per sample."""

    before: Tensor | None = None
    updates: Tensor | int = 0
    skipped: Tensor | int = 0

    def note(self, value: Tensor, usable: Tensor) -> None:
        self.before = value if self.before is None else self.before
        self.updates = self.updates + usable.int()
        self.skipped = self.skipped + (~usable).int()


@dataclass(frozen=True)
class Feedback:
    """`value(images (b, 3, H, W) in [-1, 1], labels (b,)) -> (b,)` uphill, at the settings' steps by their rule.

    decode: latents to the images that the classifier sees. loss_scale: keeps float16 gradients from underflowing; a
    power of two, so that it changes no digit.
    """

    value: Value
    settings: FeedbackSettings
    decode: Callable[[Tensor], Tensor]
    loss_scale: float = 1.0

    def wrap(self, denoiser: ClassifierFreeGuidance, labels: Tensor, micro_batch: int = 64) -> tuple[Predict, Trace]:
        """The denoiser under this feedback for images of these labels (B,), and what the feedback will have done.

        micro_batch: images per pass of decoder and classifier. A sample whose gradient is zero or not finite stays
        unguided and is counted.
        """
        trace = Trace()

        def predict(z: Tensor, step: Step) -> tuple[Tensor, Tensor]:
            if not self.settings.guides(step.number):
                return denoiser(z, step)
            if step.noise.a == 0 and (
                self.settings.rule == "score" or self.settings.stop_gradient
            ):  # both divide by it
                trace.skipped = trace.skipped + 1
                return denoiser(z, step)
            conditional, g, value = self._gradient(denoiser, z, step, labels, micro_batch)
            direction, usable = unit(g)
            trace.note(value, usable)
            output = denoiser.combined(z, step, conditional)
            if self.settings.rule == "latent":
                return output, latent_update(z, direction, usable, self.settings.scale)
            w_g = self.settings.scale / self.loss_scale * torch.where(per_sample(usable, g), g, 0)
            return score_update(denoiser.prediction_type, output, w_g, step.noise), z

        return predict, trace

    def _gradient(
        self, denoiser: ClassifierFreeGuidance, z: Tensor, step: Step, labels: Tensor, micro_batch: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The conditional output, the criterion's gradient at z times loss_scale, and the criterion (B,)."""
        stopped, mix, (a, s) = self.settings.stop_gradient, self.settings.mix, (step.noise.a, step.noise.s)
        with torch.set_grad_enabled(not stopped):
            leaf = z.detach().requires_grad_(not stopped)
            conditional = denoiser.conditional(leaf, step)
            x0 = x0_hat(denoiser.prediction_type, leaf, conditional, step.noise)
            seen = s * x0 + (1 - s) * leaf if mix else x0
            at_seen, value = self._gradient_at(seen, labels, micro_batch)
            if stopped:  # d x0_hat / d z = 1 / a
                g = at_seen * (s / a + (1 - s) if mix else 1 / a)
            else:
                g = torch.autograd.grad(seen, leaf, grad_outputs=at_seen)[0]
        return conditional.detach(), g, value

    def _gradient_at(self, seen: Tensor, labels: Tensor, micro_batch: int) -> tuple[Tensor, Tensor]:
        """Gradient of the summed criterion at the latents seen (B, C, h, w), times loss_scale; the criterion (B,)."""
        gradients, values = [], []
        for part, y in zip(seen.detach().split(micro_batch), labels.split(micro_batch), strict=True):
            with torch.enable_grad():
                part.requires_grad_()
                value = self.value(self.decode(part), y)
                gradients.append(torch.autograd.grad(value.sum() * self.loss_scale, part)[0])
            values.append(value.detach())
        return torch.cat(gradients), torch.cat(values)


def latent_update(z: Tensor, direction: Tensor, usable: Tensor, scale: float) -> Tensor:
    """Rule `latent` of the released code: z + w ||z|| g / ||g||.

    direction: g / ||g|| of each sample, and usable (B,) which samples have one, as from `unit`. scale: w.
    """
    length = scale * z.flatten(1).norm(dim=1)
    return z + per_sample(torch.where(usable, length, 0), z) * direction


def score_update(prediction_type: str, output: Tensor, w_g: Tensor, noise: Noise) -> Tensor:
    """Rule `score`: the model output after eps_hat <- eps_hat - s w g (arXiv 2502.15588, eq. 7).

    output, w_g: (B, C, h, w), the second the scaled gradient w g.
    """
    a, s = noise.a, noise.s
    if prediction_type == "epsilon":
        return output - s * w_g
    if prediction_type == "v_prediction":
        return output - (s / a) * w_g
    return output + (s**2 / a) * w_g


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


def loss_scale(dtype: torch.dtype) -> float:
    """What the criterion is multiplied by, so that gradients survive the networks' number format."""
    return 1024.0 if dtype == torch.float16 else 1.0


def classifier_feedback(
    settings: FeedbackSettings, classifier: Classifier, generator: DiffusionModel, images: Images, labels: np.ndarray,
    others: Sequence[Classifier] = (),
) -> Feedback | None:  # fmt: skip
    """The feedback of a classifier, and others beside it, on what the generator makes; None for the criterion "none".

    images, labels: the real training images uint8 (N, H, W, 3) and their classes (N,). InputError for an unknown
    criterion, rule or decoder.
    """
    value = feedback_value(settings, classifier, images, labels, generator.device, others)
    if settings.rule not in RULES:
        raise InputError(f"feedback rule '{settings.rule}' is unknown; choose one of {', '.join(RULES)}.")
    decode = generator.decoder(settings.decoder)
    return None if value is None else Feedback(value, settings, decode, loss_scale(generator.dtype))
