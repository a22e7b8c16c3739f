"""What the denoiser is told about each planned image: text, a real image of its class, or both (arXiv 2310.00158).

The image enters as its CLIP embedding, with dropout on the embedding; SYNAuG (arXiv 2308.00994) uses text alone.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from src.generators.diffusion_model import Condition, DiffusionModel, rows
from src.generators.model_folder import TEXT_ALONE
from src.runtime.choices import choose
from src.runtime.errors import InputError
from src.runtime.seeds import numpy_generator, torch_generator
from src.shards.lazy_images import Images
from src.synthesis.plan import PlannedImage

CONDITIONING = ("text", "image", "text_image")
PROMPTS = 256  # encoded at once


DROPOUT_FORMS: dict[str, Callable[[Tensor, Tensor, float, Tensor], Tensor]] = {
    "zero": lambda e, keep, rate, mean: e * keep,
    "rescaled": lambda e, keep, rate, mean: e * keep / (1 - rate),
    "mean": lambda e, keep, rate, mean: torch.where(keep, e, mean),
}
"""What is left of embeddings (B, D) where `keep` (B, D) says what stays, given mean (D,) of many images."""


def embedding_dropout(
    embeddings: Tensor, rate: float, form: str, mean: Tensor, generators: Sequence[torch.Generator]
) -> Tensor:
    """Dropout on the image embedding (arXiv 2310.00158, sec. 3), m_d ~ Bernoulli(1 - p) for every dimension d.

    form: as params.yaml says at synth.dropout_form. rate: p in [0, 1). mean: (D,). generators: one for each row of the
    embeddings (B, D), on the CPU. Returns (B, D). InputError for an unknown form.
    """
    keep = torch.stack([torch.rand(embeddings.shape[1], generator=g) >= rate for g in generators])
    return choose("synth.dropout_form", DROPOUT_FORMS, form)(embeddings, keep.to(embeddings.device), rate, mean)


def encoded(generator: DiffusionModel, prompts: Sequence[str]) -> Condition:
    """What the denoiser is told by each prompt, one row per prompt, in the machine's own memory.

    Thousands of prompts neither pass the encoders at once nor take the device's memory from the images.
    """
    chunks = [prompts[i : i + PROMPTS] for i in range(0, len(prompts), PROMPTS)]
    parts = [{name: value.cpu() for name, value in generator.text(chunk).items()} for chunk in chunks]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


class Conditioning:
    """Conditions of a plan's images; embeddings are made once per prompt and per real image."""

    def __init__(
        self, generator: DiffusionModel, plan: Sequence[PlannedImage], kind: str = "text", image_dropout: float = 0.0,
        dropout_form: str = "mean", noise_level: int = 0, real: Images | None = None, mix: float | None = None,
    ) -> None:  # fmt: skip
        """kind: one of CONDITIONING. image_dropout: share of the embedding's dimensions, dropped in one of
        DROPOUT_FORMS. noise_level: of 1000, to which the embedding is noised. real: training images uint8
        (N, H, W, 3), which the plan's sources and partners number. mix: a of Beta(a, a), from which each image draws
        the weight of its source's embedding beside its partner's (arXiv 2502.04475); None mixes none.

        InputError for an unknown kind, for one that the generator cannot take, and without images to condition on.
        """
        choose("synth.conditioning", dict.fromkeys(CONDITIONING), kind)
        if kind != "text" and not generator.takes_image:
            raise InputError(TEXT_ALONE.format(kind))
        self.generator, self.image_dropout, self.noise_level = generator, image_dropout, noise_level
        self.dropout_form, self.mix = dropout_form, mix
        choose("synth.dropout_form", DROPOUT_FORMS, dropout_form)
        self.has_text, self.has_image = kind != "image", kind != "text"
        prompts = sorted({self.prompt(p) for p in plan})
        self._row = {prompt: i for i, prompt in enumerate(prompts)}
        self._texts = encoded(generator, prompts)
        self._absent = generator.absent(1, image=self.has_image)
        self._embeddings = self._embedded(plan, kind, real) if self.has_image else None
        self._mean = None if self._embeddings is None else generator.mean_embedding(self._embeddings)
        generator.release_encoders()

    def _embedded(self, plan: Sequence[PlannedImage], kind: str, real: Images | None) -> Tensor:
        if real is None or all(p.source is None for p in plan):
            raise InputError(f"synth.conditioning={kind} needs real images to condition on.")
        if any(p.source is None for p in plan):
            if not self.has_text:
                raise InputError("synth.conditioning=image cannot make images of an empty group; set it to text_image")
            if not self.generator.no_image(1):  # an adapter's tokens for no image would still be tokens
                raise InputError(
                    "this generator cannot leave the image out for an empty group alone; set the budget's "
                    "empty_group=class, or synth.conditioning=text"
                )
        return self.generator.image_embeddings(real)

    def prompt(self, p: PlannedImage) -> str:
        """The text that the model is told."""
        return p.prompt if self.has_text else ""

    def source(self, p: PlannedImage) -> int | None:
        """The real image that the model is told, by its position among the training images."""
        return p.source if self.has_image else None

    def absent(self, count: int) -> Condition:
        """The unconditional half of classifier-free guidance."""
        return rows(self._absent, [0] * count)

    def __call__(self, part: Sequence[PlannedImage]) -> Condition:
        """The conditions of some of the plan's images."""
        texts = rows(self._texts, [self._row[self.prompt(p)] for p in part])
        return {**{name: value.to(self.generator.device) for name, value in texts.items()}, **self._image(part)}

    def _image(self, part: Sequence[PlannedImage]) -> Condition:
        """Each image's own dropout mask and noise, drawn from its seed on the CPU; nothing where there is no source."""
        if self._embeddings is None or self._mean is None:
            return self.generator.no_image(len(part))
        embeddings = self._embeddings[[p.source or 0 for p in part]]
        if self.mix is not None:
            partners = self._embeddings[[(p.source if p.partner is None else p.partner) or 0 for p in part]]
            weights = [numpy_generator("embedding mix", p.seed).beta(self.mix, self.mix) for p in part]
            weight = torch.tensor(weights, dtype=embeddings.dtype, device=embeddings.device)[:, None]
            embeddings = weight * embeddings + (1 - weight) * partners
        generators = [torch_generator("condition", p.seed) for p in part]
        dropped = embedding_dropout(embeddings, self.image_dropout, self.dropout_form, self._mean, generators)
        noise = torch.stack([torch.randn(embeddings.shape[1], generator=g) for g in generators])
        condition = self.generator.image(dropped, self.noise_level, noise)
        if empty := [i for i, p in enumerate(part) if p.source is None]:  # images of a group without real ones
            for name, nothing in self.generator.no_image(len(empty)).items():
                condition[name][empty] = nothing.to(condition[name])
        return condition
