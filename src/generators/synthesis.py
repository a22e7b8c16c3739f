"""From a synthesis plan to finished shards: conditions, sampling, provenance, resume."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from src.checks import number, whole
from src.data.images import to_uint8
from src.data.plan import PlannedImage
from src.errors import InputError
from src.feedback.classifier import Value
from src.feedback.guidance import Feedback, Schedule, Trace
from src.feedback.sampling import sample, scheduler
from src.generators.unclip import UnCLIP
from src.parallel import is_main, my_share
from src.seeds import torch_generator
from src.shards import Sample, shard_name, write_index, write_shard

CONDITIONING = ("text", "image", "text_image")
TRAINING_STEPS = 1000  # of every Stable Diffusion noise schedule
POLL_SECONDS = 2.0


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
        if whole("the generator preset's steps", self.steps, least=1) > TRAINING_STEPS:
            raise InputError(f"the generator preset's steps={self.steps} must be at most {TRAINING_STEPS}.")


class Synthesiser:
    """Samples planned images with one generator; embeddings are made once per prompt and per real image."""

    def __init__(
        self,
        generator: UnCLIP,
        settings: SamplingSettings,
        plan: Sequence[PlannedImage],
        real: np.ndarray | None = None,
        value: Value | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        """real: uint8 (N, H, W, 3), needed for image conditioning. value, schedule: the feedback, if any."""
        self.generator, self.settings = generator, settings
        self.value, self.schedule = value, schedule
        self.steps = scheduler(settings.scheduler, generator.scheduler_config)
        prompts = [""] if settings.conditioning == "image" else sorted({p.prompt for p in plan})
        self._row = {prompt: i for i, prompt in enumerate([*prompts, ""])}
        self._states = generator.text_states([*prompts, ""])
        self._embeddings: Tensor | None = None
        if settings.conditioning != "text":
            if real is None or any(p.source is None for p in plan):
                raise InputError(f"synth.conditioning={settings.conditioning} needs real images to condition on.")
            self._embeddings = generator.image_embeddings(real)

    def _text(self, part: Sequence[PlannedImage]) -> Tensor:
        said = [p.prompt if self.settings.conditioning != "image" else "" for p in part]
        return self._states[[self._row[prompt] for prompt in said]]

    def _image(self, part: Sequence[PlannedImage]) -> Tensor:
        """Class labels (B, 2D): each image's own dropout mask and noise, drawn from its seed on the CPU."""
        if self._embeddings is None:
            return self.generator.no_image(len(part))
        chosen = self._embeddings[[p.source for p in part]]
        rate, dim = self.settings.image_dropout, chosen.shape[1]
        draws = [torch_generator("condition", p.seed) for p in part]
        keep = torch.stack([torch.rand(dim, generator=g) >= rate for g in draws]).to(chosen.device)
        noise = torch.stack([torch.randn(dim, generator=g) for g in draws])
        return self.generator.class_labels(chosen * keep / (1 - rate), self.settings.noise_level, noise)

    def __call__(self, part: Sequence[PlannedImage]) -> list[Sample]:
        """Sample one batch: images with their provenance."""
        model, device = self.generator, self.generator.device
        self.steps.set_timesteps(self.settings.steps)
        noise = [torch.randn(model.latent_shape, generator=torch_generator("latent", p.seed)) for p in part]
        z = torch.stack(noise).to(device) * self.steps.init_noise_sigma
        labels = torch.tensor([p.label for p in part], device=device)
        absent = self._states[[self._row[""]] * len(part)], model.no_image(len(part))
        feedback = None
        if self.value is not None and self.schedule is not None:
            feedback = Feedback(self.value, self.schedule, trace=Trace())
        z = sample(
            model.denoise, model.decode, self.steps, z, (self._text(part), self._image(part)), absent, labels,
            self.settings.guidance_scale, feedback,
        )  # fmt: skip
        with torch.no_grad():
            decoded = model.decode(z)
            after = None if self.value is None else self.value(decoded, labels)
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


def _finite(values: Tensor | None, count: int) -> list[float | None]:
    """One number per image for JSON, which knows neither NaN nor infinity: None in their place."""
    if values is None:
        return [None] * count
    return [value if math.isfinite(value) else None for value in values.tolist()]


def cut(plan: Sequence[PlannedImage], shard_size: int) -> list[Sequence[PlannedImage]]:
    """The plan in consecutive parts of at most shard_size images."""
    if shard_size < 1:
        raise InputError(f"synth.shard_size={shard_size} must be at least 1.")
    return [plan[i : i + shard_size] for i in range(0, len(plan), shard_size)]


def write_plan(
    synthesiser: Synthesiser, plan: Sequence[PlannedImage], shard_size: int, folder: Path, label: str
) -> bool:
    """Make this process's share of the shards that `folder` lacks; then, on the main process, index them all.

    A shard is sampled as one batch, so its bytes do not depend on who makes it, when, or in which order.
    Returns whether this process wrote the index, which it does once every other process's shards have
    appeared.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = cut(plan, shard_size)
    mine = my_share(len(parts))
    missing = [k for k in mine if not (folder / shard_name(k)).exists()]
    done = sum(len(parts[k]) for k in mine if k not in missing)
    total = sum(len(parts[k]) for k in mine)
    with tqdm(total=total, initial=done, desc=label, unit="image", mininterval=2, disable=not is_main()) as bar:
        for k in missing:
            write_shard(folder / shard_name(k), k * shard_size, synthesiser(parts[k]))
            bar.update(len(parts[k]))
    if not is_main():
        return False
    while not all((folder / shard_name(k)).exists() for k in range(len(parts))):
        time.sleep(POLL_SECONDS)
    write_index(folder)
    return True


def settings_from(generator: Mapping[str, Any], conditioning: str, image_dropout: float) -> SamplingSettings:
    """Sampling settings of a generator preset, with what the arm tells the model."""
    names = ("scheduler", "steps", "guidance_scale", "noise_level")
    return SamplingSettings(**{n: generator[n] for n in names}, conditioning=conditioning, image_dropout=image_dropout)
