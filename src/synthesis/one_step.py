"""Planned images of a generator that makes each in one step, from noise and its class, or of none: of the pool."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from src.data.names import Names
from src.generators.fitting.methods import one_step_network
from src.runtime.errors import InputError
from src.runtime.processes import device
from src.runtime.seeds import torch_generator
from src.settings.sections import GeneratorSettings, Params
from src.settings.together import check_one_step
from src.shards.pixels import resized, to_uint8
from src.shards.store import Sample, Shards
from src.synthesis.memory import Fit
from src.synthesis.plan import PlannedImage
from src.synthesis.pool import POOL, PoolSynthesiser, spare_images
from src.synthesis.synthesiser import Synthesiser

BATCH = 256
Judge = Callable[[Shards, np.ndarray, Sequence[PlannedImage]], tuple[np.ndarray, Sequence[float] | None]]
"""(the pool, positions in it, plan) -> the criterion (N,) of the pool's images, known at these positions, and what each
planned image is to have of it, None for the most."""


def one_step(settings: GeneratorSettings) -> bool:
    """Whether the preset's generator is a VAE or GAN, or the pool in its place."""
    return bool(settings.pool) or (settings.fit is not None and settings.fit.one_step)


def one_step_synthesiser(
    params: Params, plan: Sequence[PlannedImage], size: int, names: Names, judge: Judge | None = None
) -> Synthesiser | None:
    """Of the preset's fitted VAE or GAN, or of the pool; None for a generator of diffusion.

    judge: by whom images of the pool are chosen, if not any are taken. InputError for a VAE or GAN under feedback, and
    for a class without an image in the pool that training does not have.
    """
    network = one_step_network(params.generator, device())
    if network is None and not params.generator.pool:
        return None
    check_one_step(params)
    if network is not None:
        return OneStepSynthesiser(network, plan, size, device())
    pool = Shards(POOL)
    spare = spare_images(pool, Shards("data/real/train"))
    if none := sorted({p.label for p in plan} - set(spare)):
        raise InputError(
            f"generator={params.generator.name} takes images that training does not have, and {POOL} holds none of "
            f"class {names.classes[none[0]]}; choose another generator"
        )
    values = aims = None
    if judge is not None:
        values, aims = judge(pool, np.concatenate([spare[k] for k in sorted({p.label for p in plan})]), plan)
    candidates = 1 if judge is None else params.feedback.candidates
    return PoolSynthesiser(pool.images(), spare, plan, device(), values, aims, candidates)


class OneStepSynthesiser(Synthesiser):
    """As `Synthesiser`, without prompts, guidance or sampler."""

    def __init__(self, network: Any, plan: Sequence[PlannedImage], size: int, device: torch.device) -> None:
        """network: (noise (B, *network.shape), labels (B,)) -> images (B, 3, H, H) in [-1, 1]. size: pixels that come
        out."""
        self.network, self.plan, self.size = network, plan, size
        self.guide, self.candidates, self.translation, self.fit = None, 1, None, Fit(BATCH, BATCH)
        self.generator = SimpleNamespace(device=device, dtype=torch.float32, compiled=False)  # type: ignore[assignment]
        self.condition = SimpleNamespace(prompt=lambda p: "", source=lambda p: None)  # type: ignore[assignment]

    @torch.no_grad()
    def _batch(self, part: Sequence[PlannedImage]) -> list[Sample]:
        device = self.generator.device
        noise = [torch.randn(self.network.shape, generator=torch_generator("latent", p.seed)) for p in part]
        images = self.network(torch.stack(noise).to(device), torch.tensor([p.label for p in part], device=device))
        return list(zip(to_uint8(resized(images, self.size)), self._provenance(part, None, None), strict=True))
