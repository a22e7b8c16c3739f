"""A denoiser that listens to a classifier: feedback wraps, the sampler does not know it (arXiv 2310.00158, sec. 3).

At a guided step: predict x0_hat from z_t, decode it, show it to the classifier, and take the criterion's
gradient g with respect to z_t. Rule `latent` moves z_t, rule `score` the model output. Everything is per sample, or per
cohort. The gradient flows through the conditional half of classifier-free guidance, whose forward is reused for the
output, and is split at x0_hat so that decoder and classifier run in micro-batches; both are exact. Rule `x0` moves
x0_hat itself and needs no gradient of the model. With a target the step is no longer than what reaches it, and may be
downhill.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor

from src.classifiers.models import Classifier
from src.data.grouping import whole_runs
from src.feedback.chamfer import ChamferCriterion
from src.feedback.classifier_criterion import Value, feedback_value
from src.feedback.real_targets import RealTargets
from src.feedback.update_rules import RULES, latent_update, newton_scale, per_sample, score_update, unit
from src.feedback.zero_shot import Clip, PublishedClip, zero_shot_logits
from src.generators.diffusion_model import DiffusionModel
from src.generators.prediction import output_for, x0_hat
from src.generators.sampler import ClassifierFreeGuidance, Predict, Step
from src.runtime.choices import choose
from src.runtime.seeds import torch_generator
from src.settings.sections import FeedbackSettings
from src.shards.lazy_images import Images


@dataclass
class Trace:
    """What guidance did: the criterion (B,) at the first guided step; updates and refusals per sample. scale: w of
    each (B,), where it is its class's."""

    before: Tensor | None = None
    updates: Tensor | int = 0
    skipped: Tensor | int = 0
    scale: Tensor | None = None

    def note(self, value: Tensor, usable: Tensor) -> None:
        self.before = value if self.before is None else self.before
        self.updates = self.updates + usable.int()
        self.skipped = self.skipped + (~usable).int()


@dataclass(frozen=True)
class Feedback:
    """`value(images (b, 3, H, W) in [-1, 1], labels (b,)) -> (b,)` uphill, at the settings' steps by their rule.

    Of cohorts it is value(images, labels, cohorts) with the number of each image's. decode: latents to the images that
    the classifier sees. loss_scale: keeps float16 gradients from underflowing; a power of two, so that it changes no
    digit. targets: where the criterion is on real images, if it is to be met. scales: w of each class (C,), in place of
    the settings'.
    """

    value: Value
    settings: FeedbackSettings
    decode: Callable[[Tensor], Tensor]
    loss_scale: float = 1.0
    targets: RealTargets | None = None
    scales: Tensor | None = None

    def wrap(
        self, denoiser: ClassifierFreeGuidance, labels: Tensor, micro_batch: int = 64, seeds: Sequence[int] = (),
        cohorts: Sequence[int] | None = None, aims: Tensor | None = None,
    ) -> tuple[Predict, Trace]:  # fmt: skip
        """The denoiser under this feedback for images of these labels (B,), and what the feedback will have done.

        micro_batch: images per pass of decoder and classifier. seeds: of each image, for rule `x0` with smoothing.
        cohorts: of each image, equal ones beside each other, where they are judged together. aims: the criterion (B,)
        that each image is to have, None for as much as there is. A sample whose gradient is zero or not finite stays
        unguided and is counted.
        """
        trace, settings = Trace(), self.settings
        aims = None if settings.pilot is not None else aims  # met by the scale alone
        judge = _Judge(self.value, self.decode, labels, micro_batch, cohorts, self.loss_scale)
        trace.scale = None if self.scales is None else self.scales.to(labels.device)[labels]

        def predict(z: Tensor, step: Step) -> tuple[Tensor, Tensor]:
            if not settings.guides(step.number):
                return denoiser(z, step)
            divides = settings.rule != "latent" or settings.stop_gradient
            if (step.noise.a == 0 and divides) or (step.noise.s == 0 and settings.rule == "x0"):
                trace.skipped = trace.skipped + 1
                return denoiser(z, step)
            if settings.rule == "x0":
                return self._moved_x0(denoiser, z, step, judge, seeds, trace, aims), z
            conditional, g, value = self._gradient(denoiser, z, step, judge)
            direction, usable = unit(g)
            output = denoiser.combined(z, step, conditional)
            if aims is not None and denoiser.scale != 1:
                # Of the image that comes out, not of its conditional half.
                value = judge.values(x0_hat(denoiser.prediction_type, z, output, step.noise))
            trace.note(value, usable)
            scale = self._scale(trace.scale, aims, value, g, z.flatten(1).norm(dim=1))
            if settings.rule == "latent":
                return output, latent_update(z, direction, usable, scale)
            w = per_sample(scale, g) if isinstance(scale, Tensor) else scale
            w_g = w / self.loss_scale * torch.where(per_sample(usable, g), g, 0)
            return score_update(denoiser.prediction_type, output, w_g, step.noise), z

        return predict, trace

    def _moved_x0(
        self, denoiser: ClassifierFreeGuidance, z: Tensor, step: Step, judge: "_Judge", seeds: Sequence[int],
        trace: Trace, aims: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """Rule `x0`: the output whose x0_hat has gone uphill in `inner_steps` steps, scale |x0_hat| long in all.

        As the mean guidance of Ye et al. (NeurIPS 2024): the criterion of x0_hat under noise, renewed at each step.
        """
        settings, kind = self.settings, denoiser.prediction_type
        output, _ = denoiser(z, step)
        x0 = x0_hat(kind, z, output, step.noise)
        moved = torch.zeros(len(z), dtype=torch.bool, device=z.device)
        size = x0.flatten(1).norm(dim=1)
        for k in range(settings.inner_steps):
            seen = step.noise.s * x0 + (1 - step.noise.s) * z if settings.mix else x0
            if settings.smoothing:
                draws = [torch_generator("x0", seed, step.number, k) for seed in seeds]
                noise = torch.stack([torch.randn(z.shape[1:], generator=g) for g in draws])
                seen = seen + settings.smoothing * noise.to(seen)
            g, value = judge(seen)
            direction, usable = unit(g)
            if k == 0:
                trace.note(value, usable)
            length = self._scale(trace.scale, aims, value, g, size, settings.inner_steps) * size
            x0, moved = x0 + per_sample(torch.where(usable, length, 0), x0) * direction, moved | usable
        return torch.where(per_sample(moved, z), output_for(kind, z, x0, step.noise), output)

    def _gradient(
        self, denoiser: ClassifierFreeGuidance, z: Tensor, step: Step, judge: "_Judge"
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The conditional output, the criterion's gradient at z times loss_scale, and the criterion (B,)."""
        stopped, mix, (a, s) = self.settings.stop_gradient, self.settings.mix, (step.noise.a, step.noise.s)
        with torch.set_grad_enabled(not stopped):
            leaf = z.detach().requires_grad_(not stopped)
            conditional = denoiser.conditional(leaf, step)
            x0 = x0_hat(denoiser.prediction_type, leaf, conditional, step.noise)
            seen = s * x0 + (1 - s) * leaf if mix else x0
            at_seen, value = judge(seen)
            if stopped:  # d x0_hat / d z = 1 / a
                g = at_seen * (s / a + (1 - s) if mix else 1 / a)
            else:
                g = torch.autograd.grad(seen, leaf, grad_outputs=at_seen)[0]
        return conditional.detach(), g, value

    def _scale(
        self, by_class: Tensor | None, aims: Tensor | None, value: Tensor, g: Tensor, size: Tensor, parts: int = 1
    ) -> float | Tensor:
        """w of a step, one of so many parts: the settings', the class's (B,), or each sample's own (B,) to its aim.

        value: the criterion (B,); g: its gradient, times loss_scale; size (B,): the norm of what moves.
        """
        if by_class is not None:
            return by_class / parts
        if aims is None:
            return self.settings.scale / parts
        return newton_scale((aims - value) * self.loss_scale, g, size, self.settings.scale / parts)

    def aims(self, labels: Sequence[int], ranks: Sequence[float]) -> list[float] | None:
        """What images of these classes are to have of the criterion, by their ranks in [0, 1) among real images."""
        return None if self.targets is None else self.targets.at(labels, ranks).tolist()

    def judged(self, images: Tensor, labels: Tensor, cohorts: Sequence[int] | None = None) -> Tensor:
        """The criterion (B,) of finished images (B, 3, H, W); the other arguments as for `wrap`."""
        return self.value(images, labels) if cohorts is None else self.value(images, labels, cohorts)


@dataclass(frozen=True)
class _Judge:
    """Decoder and criterion of a batch's images, in micro-batches that cut no cohort."""

    value: Value
    decode: Callable[[Tensor], Tensor]
    labels: Tensor
    micro_batch: int
    cohorts: Sequence[int] | None
    loss_scale: float

    def __call__(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient of the summed criterion at the latents seen (B, C, h, w), times loss_scale; the criterion (B,)."""
        gradients, values = [], []
        for places in whole_runs(len(seen), self.micro_batch, self.cohorts):
            more = () if self.cohorts is None else (self.cohorts[places],)
            part = seen[places].detach()
            with torch.enable_grad():
                part.requires_grad_()
                value = self.value(self.decode(part), self.labels[places], *more)
                gradients.append(torch.autograd.grad(value.sum() * self.loss_scale, part)[0])
            values.append(value.detach())
        return torch.cat(gradients), torch.cat(values)

    @torch.no_grad()
    def values(self, seen: Tensor) -> Tensor:
        """The criterion (B,) at the latents seen, without its gradient; of no cohorts, which have no targets."""
        places = whole_runs(len(seen), self.micro_batch)
        return torch.cat([self.value(self.decode(seen[k]), self.labels[k]) for k in places])


def loss_scale(dtype: torch.dtype) -> float:
    """What the criterion is multiplied by, so that gradients survive the networks' number format."""
    return 1024.0 if dtype == torch.float16 else 1.0


def feedback_on(
    generator: DiffusionModel, settings: FeedbackSettings, classifiers: Sequence[Classifier], images: Images,
    labels: np.ndarray, prompts: Sequence[str],
) -> Feedback | None:  # fmt: skip
    """The feedback of a preset on what the generator makes; None for the criterion "none".

    classifiers: the base classifier and the other members of its committee. images, labels: the real training images
    uint8 (N, H, W, 3) and their classes (N,). prompts: of each class, for zero-shot CLIP. InputError for an unknown
    criterion, rule or decoder, and for what the generator cannot be asked.
    """
    choose("feedback rule", dict.fromkeys(RULES), settings.rule)
    decode = generator.decoder(settings.decoder)
    value: Value | None
    if settings.criterion == "chamfer":
        embeddings = generator.image_embeddings(images)
        embed = partial(generator.embed, rounded=False)
        value = ChamferCriterion(embed, embeddings, labels, settings.exemplars, images.shape[1])
    else:
        reference, clip = None, cast(Clip, generator)
        if settings.reference_weight:
            if settings.reference:
                clip = PublishedClip(f"feedbacks.{settings.name}.reference", settings.reference, generator.device)
            reference = zero_shot_logits(clip, prompts, images, labels)
        value = feedback_value(settings, classifiers, images, labels, generator.device, reference)
    return None if value is None else Feedback(value, settings, decode, loss_scale(generator.dtype))
