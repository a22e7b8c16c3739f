"""Real images in a generator's place: those of the pool that training does not have, as a perfect one would make them.

The control of every claim for feedback, under the same protocol: any of them, of several the one with the most of a
criterion, or the one nearest to a target.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from src.data.grouping import indices_by_key
from src.data.names import Names
from src.generators.fitting.methods import one_step_network
from src.runtime.errors import InputError
from src.runtime.processes import device
from src.runtime.seeds import numpy_generator
from src.settings.sections import Params
from src.settings.together import check_one_step
from src.shards.lazy_images import Images
from src.shards.store import Sample, Shards
from src.synthesis.one_step import OneStepSynthesiser
from src.synthesis.plan import PlannedImage
from src.synthesis.selection import gain

POOL = "data/real/pool"
Judge = Callable[[Shards, np.ndarray, Sequence[PlannedImage]], tuple[np.ndarray, Sequence[float] | None]]
"""(the pool, positions in it, plan) -> the criterion (N,) of the pool's images, known at these positions, and what each
planned image is to have of it, None for the most."""


def spare_images(pool: Shards, used: Shards) -> dict[int, np.ndarray]:
    """By class the positions of the pool's images that the others are not, by their bytes; of copies the first."""
    known = {digest.tobytes() for digest in used.digests}
    first = {digest.tobytes(): i for i, digest in reversed(list(enumerate(pool.digests)))}
    spare = np.array(sorted(i for digest, i in first.items() if digest not in known), np.int64)
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
    left: dict[int, list[int]] = {}
    chosen = []
    for number, p in enumerate(plan):
        rest = left[p.label] = left.get(p.label) or spare[p.label].tolist()
        draw = numpy_generator("pool", p.seed).permutation(len(rest))[:candidates].tolist()
        aim = None if aims is None else aims[number]
        chosen.append(rest.pop(max(draw, key=lambda k: gain(None if values is None else float(values[rest[k]]), aim))))
    return chosen


class PoolSynthesiser(OneStepSynthesiser):
    """As `Synthesiser`, without prompts, guidance or sampler: its images are there."""

    def __init__(
        self, images: Images, spare: Mapping[int, np.ndarray], plan: Sequence[PlannedImage], device: torch.device,
        values: np.ndarray | None = None, aims: Sequence[float] | None = None, candidates: int = 1,
    ) -> None:  # fmt: skip
        """images: the pool's, uint8 (N, H, W, 3); the others as for `drawn`."""
        super().__init__(None, plan, images.shape[1], device)
        self.images, self.spare, self.values = images, spare, values
        keys = [(p.label, p.index) for p in plan]
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


def one_step_synthesiser(
    params: Params, plan: Sequence[PlannedImage], size: int, names: Names, judge: Judge | None = None
) -> OneStepSynthesiser | None:
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
