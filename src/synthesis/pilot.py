"""Matched feedback of one scale for each class: the plan's first images, at several scales, say which it is.

The main process finds the scales once, beside the shards; whoever else makes images waits for them.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from src.feedback.guidance import Feedback
from src.feedback.matched_scale import matched_scales, shrunk_gaps
from src.feedback.real_targets import RealTargets
from src.runtime.files import read_json, write_json
from src.settings.schema import changed
from src.synthesis.production import Round
from src.synthesis.rounds import once
from src.synthesis.synthesiser import Synthesiser, cut

SCALES = "scales.json"


def matched_round(synthesiser: Synthesiser, feedback: Feedback, pilot: int, shard_size: int) -> Sequence[Round]:
    """All shards in one round, under the scales that are found first; pilot: images of each class or group."""
    targets = feedback.targets
    assert targets is not None

    def maker(folder: Path) -> Synthesiser:
        place = once(
            folder, SCALES,
            lambda path, token: write_json(path, pilot_scales(synthesiser, feedback, targets, pilot, shard_size)),
        )  # fmt: skip
        return synthesiser.under(replace(feedback, scales=torch.tensor(read_json(place))))

    return [Round(range(len(cut(synthesiser.plan, shard_size))), maker)]


def pilot_scales(
    synthesiser: Synthesiser, feedback: Feedback, targets: RealTargets, pilot: int, shard_size: int
) -> list[float]:
    """The scale of each class, from its first `pilot` images, or those of each of its groups, at each scale tried."""
    plan = [p for p in synthesiser.plan if p.index < pilot]

    def gaps_at(scale: float) -> np.ndarray:
        settings = changed(feedback.settings, scale=scale, target=None, pilot=None)
        maker = synthesiser.under(replace(feedback, settings=settings, targets=None), candidates=1)
        metas = [meta for part in cut(plan, shard_size) for _, meta in maker(part)]
        values = np.array([meta["criterion_after"] for meta in metas], float)  # None: not a number
        labels = np.array([meta["label"] for meta in metas])
        return shrunk_gaps(targets, RealTargets(values, labels, len(targets.counts)))

    return matched_scales(gaps_at, feedback.settings.scale).tolist()
