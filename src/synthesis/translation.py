"""Image-to-image translation (SDEdit, Meng et al., ICLR 2022): two of SYNAuG's variants (arXiv 2308.00994, 3.3)."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from src.generators.diffusion_model import DiffusionModel
from src.generators.sampler import Scheduler, steps_of
from src.shards.lazy_images import Images
from src.synthesis.plan import PlannedImage


class Translation:
    """Images begin from real ones, noised to a strength, and are denoised under their own prompts."""

    def __init__(self, generator: DiffusionModel, real: Images, strength: float) -> None:
        """real: training images uint8 (N, H, W, 3), which the plan's `start` numbers. strength: the share in [0, 1] of
        the steps that are taken, rounded, one at least; all of them: from noise alone."""
        self.generator, self.real, self.strength = generator, real, strength

    def begun(self, part: Sequence[PlannedImage], noise: Tensor, schedule: Scheduler) -> tuple[Tensor, int]:
        """The latents to begin from, shaped as `noise`, and at which step of the scheduler, whose timesteps are set."""
        steps = list(steps_of(schedule))
        first = len(steps) - max(1, round(self.strength * len(steps)))
        if first == 0:
            return noise, 0
        images = self.real[np.array([p.start for p in part])]
        a, s = steps[first].noise.a, steps[first].noise.s
        return a * self.generator.encode(images).to(noise) + s * noise, first
