"""Planned images of a generator that makes each in one step, from noise and its class."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch

from src.runtime.seeds import torch_generator
from src.shards.pixels import resized, to_uint8
from src.shards.store import Sample
from src.synthesis.memory import Fit
from src.synthesis.plan import PlannedImage
from src.synthesis.synthesiser import Synthesiser

BATCH = 256


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
