"""From planned images to pixels: noise from each image's seed, conditions, guidance, and the provenance of each."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from src.data.grouping import whole_runs
from src.generators.diffusion_model import DiffusionModel
from src.generators.sampler import ClassifierFreeGuidance, Predict, sample, scheduler, set_steps
from src.runtime.errors import InputError
from src.runtime.seeds import torch_generator
from src.settings.sections import GeneratorSettings
from src.shards.pixels import resized, to_uint8
from src.shards.store import Sample
from src.synthesis.conditioning import Conditioning
from src.synthesis.memory import measured_fit
from src.synthesis.plan import PlannedImage
from src.synthesis.selection import generate_then_select
from src.synthesis.translation import Translation


class Trace(Protocol):
    """What a guide did: its criterion (B,) before it acted; updates and refusals of each image, or 0; the scale of each
    (B,), where it is its class's."""

    before: Tensor | None
    updates: Tensor | int
    skipped: Tensor | int
    scale: Tensor | None


class Guide(Protocol):
    """Steers sampling, and judges what came out. A classifier's feedback is one (`src.feedback.guidance`).

    Where it looks at a cohort of images together, it is told which one each image is of, equal ones beside each other.
    """

    @property
    def decode(self) -> Callable[[Tensor], Tensor]:
        """Latents to the images that it looks at; differentiable."""

    def judged(self, images: Tensor, labels: Tensor, cohorts: Sequence[int] | None) -> Tensor:
        """The criterion (B,) of images (B, 3, H, W) in [-1, 1] with labels (B,)."""

    def aims(self, labels: Sequence[int], ranks: Sequence[float]) -> list[float] | None:
        """The criterion that each image is to have, by its class and rank; None where as much as there is."""

    def wrap(
        self, denoiser: ClassifierFreeGuidance, labels: Tensor, micro_batch: int, seeds: Sequence[int],
        cohorts: Sequence[int] | None, aims: Tensor | None,
    ) -> tuple[Predict, Trace]:  # fmt: skip
        """The denoiser under this guide; micro_batch: images that it looks at together; seeds, aims: of each image."""


class Synthesiser:
    """Samples the planned images of one plan with one generator."""

    def __init__(
        self,
        generator: DiffusionModel,
        settings: GeneratorSettings,
        plan: Sequence[PlannedImage],
        conditioning: Conditioning | None = None,
        guide: Guide | None = None,
        size: int | None = None,
        candidates: int = 1,
        translation: Translation | None = None,
    ) -> None:
        """conditioning: of the plan's images; None is text alone. guide: steers sampling, if there is one.

        size: the edge of the images that come out, in pixels; None: the generator's own. candidates: images sampled for
        each planned one, of which the one with the highest criterion of the guide is kept, or that nearest to the
        image's target. translation: of the real images that the plan's begin from; None: from noise.
        """
        if candidates > 1 and guide is None:
            raise InputError(f"feedback candidates={candidates} need a criterion to choose by; set it, or candidates=1")
        self.generator, self.settings, self.plan = generator, settings, plan
        self.guide, self.size, self.candidates = guide, size or generator.image_size, candidates
        self.schedule = scheduler(settings.scheduler, generator.scheduler_config)
        set_steps(self.schedule, settings.steps)  # refused now, not at the first batch
        self.condition, self.translation = conditioning or Conditioning(generator, plan), translation
        self.fit = measured_fit(generator, self._look, self.condition(plan[:1]), len(plan), guide is not None)

    def __call__(self, part: Sequence[PlannedImage]) -> list[Sample]:
        """Sample images with their provenance, in as many batches as the device's memory asks for."""
        return generate_then_select(self._sampled, part, self.candidates)

    def _look(self, z: Tensor) -> Tensor:
        """What a latent (1, C, h, w) costs beside the network: its decoding, and the guide's judgement."""
        if self.guide is None:
            return self.generator.decode(z)
        labels = torch.tensor([self.plan[0].label], device=z.device)
        return self.guide.judged(self.guide.decode(z), labels, _cohorts(self.plan[:1]))

    def under(self, guide: Guide | None, candidates: int | None = None) -> "Synthesiser":
        """The same under another guide, or none, sharing all embeddings; candidates: None for as many."""
        other = copy.copy(self)
        other.guide, other.candidates = guide, candidates or self.candidates
        return other

    def unguided(self) -> "Synthesiser":
        """The same without its guide, sharing all embeddings."""
        return self.under(None, 1)

    def _sampled(self, part: Sequence[PlannedImage]) -> list[Sample]:
        return [sample for batch in cut(part, self.fit.batch) for sample in self._batch(batch)]

    def _batch(self, part: Sequence[PlannedImage]) -> list[Sample]:
        model, schedule = self.generator, self.schedule
        schedule.set_timesteps(self.settings.steps)
        noise = [torch.randn(model.latent_shape, generator=torch_generator("latent", p.seed)) for p in part]
        z, first = torch.stack(noise).to(model.device) * schedule.init_noise_sigma, 0
        if self.translation is not None:
            z, first = self.translation.begun(part, z, schedule)
        labels = torch.tensor([p.label for p in part], device=model.device)
        denoiser = ClassifierFreeGuidance(
            model.denoise, schedule.config.prediction_type, self.condition(part), self.condition.absent(len(part)),
            self.settings.guidance_scale,
        )  # fmt: skip
        predict: Predict = denoiser
        trace: Trace | None = None
        cohorts, aims = _cohorts(part), None
        if self.guide is not None:
            ranks = [p.rank for p in part if p.rank is not None]
            aims = self.guide.aims([p.label for p in part], ranks) if ranks else None
            wanted = None if aims is None else torch.tensor(aims, dtype=z.dtype, device=z.device)
            predict, trace = self.guide.wrap(
                denoiser, labels, self.fit.micro_batch, [p.seed for p in part], cohorts, wanted
            )
        z = sample(predict, schedule, z, first)
        with torch.no_grad():
            decoded = model.decode(z)
            after = None if self.guide is None else self.guide.judged(decoded, labels, cohorts)
        recorded = self._provenance(part, trace, after, aims)
        return list(zip(to_uint8(resized(decoded, self.size)), recorded, strict=True))

    def _provenance(
        self, part: Sequence[PlannedImage], trace: Trace | None, after: Tensor | None,
        aims: Sequence[float] | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        before = _finite(trace.before if trace else None, len(part))
        counts = (trace.updates, trace.skipped) if trace else (0, 0)
        updates, skipped = (torch.as_tensor(count).expand(len(part)).tolist() for count in counts)
        judged = _finite(after, len(part))
        scales = None if trace is None or trace.scale is None else trace.scale.tolist()
        return [
            {
                "label": p.label,
                **({} if p.context is None else {"context": p.context}),
                "index": p.index,
                "seed": p.seed,
                "prompt": self.condition.prompt(p),
                "source": self.condition.source(p),
                **({} if p.partner is None else {"partner": p.partner}),
                **({} if p.cohort is None else {"cohort": p.cohort}),
                **({} if p.start is None else {"start": p.start}),
                **({} if aims is None else {"target": aims[i]}),
                **({} if scales is None else {"scale": scales[i]}),
                "criterion_before": before[i],
                "criterion_after": judged[i],
                "updates": updates[i],
                "skipped": skipped[i],
            }
            for i, p in enumerate(part)
        ]


def cut(plan: Sequence[PlannedImage], size: int) -> list[Sequence[PlannedImage]]:
    """The plan in consecutive parts of at most `size` images, which cut no cohort. InputError for a larger cohort."""
    return [plan[places] for places in whole_runs(len(plan), size, _cohorts(plan))]


def _cohorts(part: Sequence[PlannedImage]) -> list[int] | None:
    """The cohort of each image; None where each is made alone."""
    cohorts = [p.cohort for p in part if p.cohort is not None]
    return cohorts or None


def _finite(values: Tensor | None, count: int) -> list[float | None]:
    """One number per image for JSON, which knows neither NaN nor infinity: None in their place."""
    if values is None:
        return [None] * count
    return [value if math.isfinite(value) else None for value in values.tolist()]
