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
from src.runtime.claims import Gone
from src.runtime.files import atomic_write
from src.runtime.folders import remove
from src.runtime.processes import is_main
from src.shards.store import Shards, shard_name, write_index
from src.synthesis.production import Round
from src.synthesis.synthesiser import Guide, Synthesiser

POLL_SECONDS = 2.0
Train = Callable[[int, Classifier, LabelledImages, np.ndarray], Classifier]
"""(round, classifier so far, images, which are synthetic (N,)) -> the classifier that guides this round."""


def online_rounds(
    synthesiser: Synthesiser, shards: int, rounds: int, base: Classifier, guide: Callable[[Classifier], Guide],
    train: Train, real: Shards, names: Names, balance: str,
) -> list[Round]:  # fmt: skip
    """As many rounds, the first under the base classifier's feedback, which the synthesiser has; see `Train`.

    rounds: at most one for each shard. guide: of a classifier. balance: "class" or "group".
    """
    ends = [round(k * shards / rounds) for k in range(rounds + 1)]
    spans = [range(first, last) for first, last in pairwise(ends) if first < last]

    def maker(k: int) -> Callable[[Path], Synthesiser]:
        return lambda folder: synthesiser.under(guide(trained(k, folder))) if k else synthesiser

    def trained(k: int, folder: Path) -> Classifier:
        if k == 0:
            return base
        place = folder.with_name(f"classifier-{k}")
        while not place.exists():
            if is_main():
                before = trained(k - 1, folder)
                model = train(k, before, *_images(folder, range(spans[k].start), real, names, balance))
                _put(model, place)
            elif not folder.is_dir():
                raise Gone
            else:
                time.sleep(POLL_SECONDS)
        return load(place)

    return [Round(span, maker(k)) for k, span in enumerate(spans)]


def _images(
    folder: Path, made: Sequence[int], real: Shards, names: Names, balance: str
) -> tuple[LabelledImages, np.ndarray]:
    """All real images and those of the shards made so far, and which of them are synthetic (N,)."""
    seen = folder.with_name("seen")
    remove(seen)
    seen.mkdir()
    for k in made:
        atomic_write(seen / shard_name(k), (folder / shard_name(k)).read_bytes())
    write_index(seen)
    synthetic = Shards(seen)
    merged = union(real, synthetic, balance)
    groups = None if merged.context is None else group_ids(merged.label, merged.context, names)
    return LabelledImages(merged.images(real, synthetic), merged.label, groups), merged.synthetic


def _put(model: Classifier, place: Path) -> None:
    """Save the classifier as a folder that appears whole."""
    unfinished = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    remove(unfinished)
    save(model, unfinished)
    os.replace(unfinished, place)
