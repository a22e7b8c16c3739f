"""From planned images to pixels: conditions, batches, feedback, and the provenance of each image."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from src.feedback.classifier_criterion import Value
from src.feedback.guidance import Feedback, Schedule, Trace
from src.generators.diffusion_model import Condition, DiffusionModel, rows
from src.generators.sampler import sample, scheduler
from src.runtime.errors import InputError
from src.runtime.seeds import derive, torch_generator
from src.settings.checks import number, whole
from src.shards.lazy_images import Images
from src.shards.pixels import to_uint8
from src.shards.store import Sample
from src.synthesis.memory import measured_fit
from src.synthesis.plan import PlannedImage

CONDITIONING = ("text", "image", "text_image")
TRAINING_STEPS = 1000  # of every Stable Diffusion noise schedule
PROMPTS = 256  # encoded at once


@dataclass(frozen=True)
class SamplingSettings:
    """How to sample: `conditioning` names what the model is told, `image_dropout` is the share of dropped
    dimensions of the image embedding, `guidance_scale` the strength of classifier-free guidance (1: none)."""

    scheduler: str
    steps: int
    guidance_scale: float
    noise_level: int
    conditioning: str
    image_dropout: float

    def __post_init__(self) -> None:
        if self.conditioning not in CONDITIONING:
            raise InputError(
                f"synth.conditioning='{self.conditioning}' is unknown; choose one of {', '.join(CONDITIONING)}."
            )
        number("guidance_scale", self.guidance_scale)
        if not 0 <= number("synth.image_dropout", self.image_dropout) < 1:
            raise InputError(f"synth.image_dropout={self.image_dropout} must lie in [0, 1).")
        whole("the generator preset's noise_level", self.noise_level)
        if whole("the generator preset's steps", self.steps, least=1) > TRAINING_STEPS:
            raise InputError(f"the generator preset's steps={self.steps} must be at most {TRAINING_STEPS}.")


def loss_scale(dtype: torch.dtype) -> float:
    """What the criterion is multiplied by, so that gradients survive the networks' number format."""
    return 1024.0 if dtype == torch.float16 else 1.0


def encoded(generator: DiffusionModel, prompts: Sequence[str]) -> Condition:
    """What the denoiser is told by each prompt, one row per prompt, in the machine's own memory.

    Thousands of prompts neither pass the encoders at once nor take the device's memory from the images.
    """
    chunks = [prompts[i : i + PROMPTS] for i in range(0, len(prompts), PROMPTS)]
    parts = [{name: value.cpu() for name, value in generator.text(chunk).items()} for chunk in chunks]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


class Synthesiser:
    """Samples planned images with one generator; embeddings are made once per prompt and per real image."""

    def __init__(
        self,
        generator: DiffusionModel,
        settings: SamplingSettings,
        plan: Sequence[PlannedImage],
        real: Images | None = None,
        value: Value | None = None,
        schedule: Schedule | None = None,
        decoder: str = "full",
        size: int | None = None,
        candidates: int = 1,
    ) -> None:
        """real: uint8 (N, H, W, 3), needed for image conditioning. value, schedule, decoder: the feedback, if any.

        size: the edge of the images that come out, in pixels; None: the generator's own. candidates: images sampled for
        each planned one, of which the one with the highest criterion is kept (generate-then-select).
        """
        if whole("feedback candidates", candidates, least=1) > 1 and value is None:
            raise InputError(f"feedback candidates={candidates} need a criterion to choose by; set it, or candidates=1")
        self.candidates = candidates
        self.generator, self.settings = generator, settings
        self.value, self.schedule, self.size = value, schedule, size or generator.image_size
        self.decode = generator.decoder(decoder)
        self.steps = scheduler(settings.scheduler, generator.scheduler_config)
        if settings.conditioning != "text" and not generator.takes_image:
            raise InputError(
                f"this generator takes text alone, not synth.conditioning={settings.conditioning}; "
                "set it to text, or choose another generator"
            )
        prompts = [""] if settings.conditioning == "image" else sorted({p.prompt for p in plan})
        self._row = {prompt: i for i, prompt in enumerate(prompts)}
        self._texts = encoded(generator, prompts)
        self._absent = generator.absent(1, image=settings.conditioning != "text")
        self._embeddings: Tensor | None = None
        if settings.conditioning != "text":
            if real is None or all(p.source is None for p in plan):
                raise InputError(f"synth.conditioning={settings.conditioning} needs real images to condition on.")
            if any(p.source is None for p in plan):
                if settings.conditioning == "image":
                    raise InputError(
                        "synth.conditioning=image cannot make images of an empty group; set it to text_image"
                    )
                if not generator.no_image(1):  # an adapter's tokens for no image would still be tokens
                    raise InputError(
                        "this generator cannot leave the image out for an empty group alone; set the budget's "
                        "empty_group=class, or synth.conditioning=text"
                    )
            self._embeddings = generator.image_embeddings(real)
        generator.release_encoders()
        self.fit = measured_fit(generator, self.decode, self.condition(plan[:1]), len(plan))

    def condition(self, part: Sequence[PlannedImage]) -> Condition:
        """What the denoiser is told about each image."""
        said = [p.prompt if self.settings.conditioning != "image" else "" for p in part]
        texts = rows(self._texts, [self._row[prompt] for prompt in said])
        return {**{name: value.to(self.generator.device) for name, value in texts.items()}, **self._image(part)}

    def _image(self, part: Sequence[PlannedImage]) -> Condition:
        """Each image's own dropout mask and noise, drawn from its seed on the CPU; nothing where there is no source."""
        if self._embeddings is None:
            return self.generator.no_image(len(part))
        chosen = self._embeddings[[p.source or 0 for p in part]]
        rate, dim = self.settings.image_dropout, chosen.shape[1]
        draws = [torch_generator("condition", p.seed) for p in part]
        keep = torch.stack([torch.rand(dim, generator=g) >= rate for g in draws]).to(chosen.device)
        noise = torch.stack([torch.randn(dim, generator=g) for g in draws])
        told = self.generator.image(chosen * keep / (1 - rate), self.settings.noise_level, noise)
        if alone := [i for i, p in enumerate(part) if p.source is None]:
            for name, nothing in self.generator.no_image(len(alone)).items():
                told[name][alone] = nothing.to(told[name])
        return told

    def __call__(self, part: Sequence[PlannedImage]) -> list[Sample]:
        """Sample images with their provenance, in as many batches as the device's memory asks for."""
        if self.candidates == 1:
            return self._sampled(part)
        rounds = [self._sampled([_candidate(p, k) for p in part]) for k in range(self.candidates)]
        return [max(made, key=_criterion) for made in zip(*rounds, strict=True)]

    def unguided(self) -> "Synthesiser":
        """The same without feedback, sharing all embeddings."""
        plain = copy.copy(self)
        plain.value, plain.candidates = None, 1
        return plain

    def _sampled(self, part: Sequence[PlannedImage]) -> list[Sample]:
        return [s for i in range(0, len(part), self.fit.batch) for s in self._batch(part[i : i + self.fit.batch])]

    def _batch(self, part: Sequence[PlannedImage]) -> list[Sample]:
        model, device = self.generator, self.generator.device
        self.steps.set_timesteps(self.settings.steps)
        noise = [torch.randn(model.latent_shape, generator=torch_generator("latent", p.seed)) for p in part]
        z = torch.stack(noise).to(device) * self.steps.init_noise_sigma
        labels = torch.tensor([p.label for p in part], device=device)
        feedback = None
        if self.value is not None and self.schedule is not None:
            feedback = Feedback(
                self.value, self.schedule, self.decode, self.fit.micro_batch, loss_scale(model.dtype), Trace()
            )
        z = sample(
            model.denoise, self.steps, z, self.condition(part), rows(self._absent, [0] * len(part)), labels,
            self.settings.guidance_scale, feedback,
        )  # fmt: skip
        with torch.no_grad():
            decoded = model.decode(z)
            after = None if self.value is None else self.value(decoded, labels)
            if decoded.shape[-1] != self.size:
                decoded = F.interpolate(decoded, (self.size, self.size), mode="bicubic", antialias=True)
        return list(zip(to_uint8(decoded), self._provenance(part, feedback, after), strict=True))

    def _provenance(
        self, part: Sequence[PlannedImage], feedback: Feedback | None, after: Tensor | None
    ) -> list[dict[str, Any]]:
        trace = feedback.trace if feedback is not None else Trace()
        values_before, values_after = (_finite(values, len(part)) for values in (trace.before, after))
        per_image = [torch.as_tensor(count).expand(len(part)).tolist() for count in (trace.updates, trace.skipped)]
        return [
            {
                "label": p.label,
                **({} if p.context is None else {"context": p.context}),
                "index": p.index,
                "seed": p.seed,
                "prompt": p.prompt if self.settings.conditioning != "image" else "",
                "source": p.source if self.settings.conditioning != "text" else None,
                "criterion_before": values_before[i],
                "criterion_after": values_after[i],
                "updates": per_image[0][i],
                "skipped": per_image[1][i],
            }
            for i, p in enumerate(part)
        ]


def _candidate(p: PlannedImage, k: int) -> PlannedImage:
    """The planned image with the seed of its k-th candidate, the first of which has its own."""
    return p if k == 0 else replace(p, seed=derive("candidate", p.seed, k))


def _criterion(made: Sample) -> float:
    value = made[1]["criterion_after"]
    return -math.inf if value is None else value


def _finite(values: Tensor | None, count: int) -> list[float | None]:
    """One number per image for JSON, which knows neither NaN nor infinity: None in their place."""
    if values is None:
        return [None] * count
    return [value if math.isfinite(value) else None for value in values.tolist()]


def settings_from(generator: Mapping[str, Any], conditioning: str, image_dropout: float) -> SamplingSettings:
    """Sampling settings of a generator preset, with what the arm tells the model."""
    names = ("scheduler", "steps", "guidance_scale", "noise_level")
    return SamplingSettings(**{n: generator[n] for n in names}, conditioning=conditioning, image_dropout=image_dropout)
