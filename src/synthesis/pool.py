"""Real images in a generator's place: those of the pool that training does not have, as a perfect one would make them.

The control of every claim for feedback, under the same protocol: any of them, of several the one with the most of a
criterion, or the one nearest to a target.
"""

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import numpy as np
import torch

from src.data.grouping import indices_by_key
from src.runtime.seeds import numpy_generator
from src.shards.lazy_images import Images
from src.shards.store import Sample, Shards
from src.synthesis.memory import Fit
from src.synthesis.plan import PlannedImage
from src.synthesis.synthesiser import Synthesiser

POOL = "data/real/pool"
BATCH = 256


def spare_images(pool: Shards, used: Shards) -> dict[int, np.ndarray]:
    """By class the positions of the pool's images that the others are not, by their bytes; of copies the first."""
    known = {digest.tobytes() for digest in used.digests}
    first = {digest.tobytes(): i for i, digest in reversed(list(enumerate(pool.digests)))}
    spare = np.array(sorted(i for digest, i in first.items() if digest not in known), np.int64)
    if len(spare) == 0:
        return {}
    labels, places = indices_by_key(pool.labels[spare])
    return {int(label): spare[own] for label, own in zip(labels, places, strict=True)}


def drawn(
    plan: Sequence[PlannedImage], spare: Mapping[int, np.ndarray], values: np.ndarray | None = None,
    aims: Sequence[float] | None = None, candidates: int = 1,
) -> list[int]:  # fmt: skip
    """For each planned image a position in the pool: of `candidates` that its seed draws the best one.

    The best has the most of `values` (N,), by position, or is nearest to its image's aim. No image of a class is taken
    twice before all have been, so that towards the end there are fewer to draw from. A smaller plan takes the first
    ones of a larger one.
    """

    def gain(place: int, number: int) -> float:
        if values is None or not math.isfinite(values[place]):
            return -math.inf
        return float(values[place]) if aims is None else -abs(float(values[place]) - aims[number])

    left: dict[int, list[int]] = {}
    chosen = []
    for number, p in enumerate(plan):
        rest = left[p.label] = left.get(p.label) or spare[p.label].tolist()
        draw = numpy_generator("pool", p.seed).permutation(len(rest))[:candidates].tolist()
        chosen.append(rest.pop(max(draw, key=lambda k: gain(rest[k], number))))
    return chosen


class PoolSynthesiser(Synthesiser):
    """As `Synthesiser`, without prompts, guidance or sampler: its images are there."""

    def __init__(
        self, images: Images, spare: Mapping[int, np.ndarray], plan: Sequence[PlannedImage], device: torch.device,
        values: np.ndarray | None = None, aims: Sequence[float] | None = None, candidates: int = 1,
    ) -> None:  # fmt: skip
        """images: the pool's, uint8 (N, H, W, 3); the others as for `drawn`."""
        self.images, self.spare, self.plan, self.size = images, spare, plan, images.shape[1]
        self.guide, self.candidates, self.translation, self.fit = None, 1, None, Fit(BATCH, BATCH)
        self.generator = SimpleNamespace(device=device, dtype=torch.float32, compiled=False)  # type: ignore[assignment]
        self.condition = SimpleNamespace(prompt=lambda p: "", source=lambda p: None)  # type: ignore[assignment]
        self.values, keys = values, [(p.label, p.index) for p in plan]
        self.where = dict(zip(keys, drawn(plan, spare, values, aims, candidates), strict=True))
        self.aims = None if aims is None else dict(zip(keys, aims, strict=True))

    def unguided(self) -> "PoolSynthesiser":
        """Any images of each class."""
        return PoolSynthesiser(self.images, self.spare, self.plan, self.generator.device)

    def _batch(self, part: Sequence[PlannedImage]) -> list[Sample]:
        keys = [(p.label, p.index) for p in part]
        where = [self.where[key] for key in keys]
        after = None if self.values is None else torch.from_numpy(self.values[where])
        recorded = self._provenance(part, None, after, None if self.aims is None else [self.aims[key] for key in keys])
        metas = [{**meta, "pool": place} for meta, place in zip(recorded, where, strict=True)]
        return list(zip(self.images[np.array(where)], metas, strict=True))
