"""Online feedback (Deliberate Practice, Askari-Hemmat et al., arXiv 2502.15588).

The classifier that guides a round of synthesis has been trained on, at a constant rate, on real images and those of the
rounds before.
"""

import os
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from src.classifiers.models import Classifier, load, save
from src.data.labelled_images import LabelledImages, group_ids
from src.data.merge import union
from src.data.names import Names
from src.runtime.claims import Claims, Gone
from src.runtime.folders import link, remove
from src.runtime.processes import is_main
from src.shards.store import Shards, shard_name, write_index
from src.synthesis.production import Round
from src.synthesis.synthesiser import Guide, Synthesiser

POLL_SECONDS = 2.0
Train = Callable[[int, Classifier, LabelledImages, np.ndarray], Classifier]
"""(round, classifier so far, images, which are synthetic (N,)) -> the classifier that guides this round."""


def online_rounds(
    synthesiser: Synthesiser, shards: int, rounds: int, base: Classifier, guide: Callable[[Classifier], Guide],
    train: Train, real: Shards, names: Names,
) -> list[Round]:  # fmt: skip
    """As many rounds, the first under the base classifier's feedback, which the synthesiser has; see `Train`.

    rounds: at most one for each shard. guide: of a classifier.
    """
    ends = [round(k * shards / rounds) for k in range(rounds + 1)]
    spans = [range(first, last) for first, last in pairwise(ends) if first < last]

    def maker(k: int) -> Callable[[Path], Synthesiser]:
        return lambda folder: synthesiser.under(guide(trained(k, folder))) if k else synthesiser

    def trained(k: int, folder: Path) -> Classifier:
        if k == 0:
            return base

        def make(place: Path, token: str) -> None:
            before = trained(k - 1, folder)
            seen = folder.with_name(f".seen.{token}.tmp")
            try:
                data = _images(folder, seen, range(spans[k].start), real, names)
                unfinished = place.with_name(f".{place.name}.{token}.tmp")
                save(train(k, before, *data), unfinished)
                os.replace(unfinished, place)  # so that it appears whole
            finally:
                remove(seen)

        return load(once(folder, f"classifier-{k}", make))

    return [Round(span, maker(k)) for k, span in enumerate(spans)]


def once(folder: Path, name: str, make: Callable[[Path, str], None]) -> Path:
    """What the main process makes, whole, beside the shards' folder, and others wait for; returns where it is.

    make: given that place and a token of this process for names of its own.
    """
    place = folder.with_name(name)
    with Claims(folder.with_name("claims")) as claims:
        while not place.exists():
            if not folder.is_dir():
                raise Gone
            if not is_main() or not claims.take(name):  # of several main processes one makes it
                time.sleep(POLL_SECONDS)
            elif not place.exists():  # between the look and the claim
                make(place, claims.token)
    return place


def _images(
    folder: Path, seen: Path, made: Sequence[int], real: Shards, names: Names
) -> tuple[LabelledImages, np.ndarray]:
    """All real images and those of the shards made so far, and which of them are synthetic (N,)."""
    seen.mkdir()
    for k in made:
        link(folder / shard_name(k), seen / shard_name(k))
    write_index(seen)
    synthetic = Shards(seen)
    merged = union(real, synthetic)  # by class: a group may come in a later round
    groups = None if merged.context is None else group_ids(merged.label, merged.context, names)
    return LabelledImages(merged.images(real, synthetic), merged.label, groups), merged.synthetic
