"""Stage train_base: the base classifier on the long-tailed real images, and a reference classifier on all of them.

The base gives feedback and is the baseline; the reference judges images and bounds what balancing can reach.
"""

from pathlib import Path

import numpy as np

from src.errors import run_stage
from src.files import hash_tree, write_csv
from src.parallel import device
from src.params import load
from src.scratch import Scratch
from src.shards import Shards
from src.training.arms import recipe_from, train_real
from src.training.models import save


def main() -> None:
    params = load("train_base")
    recipe = recipe_from(params.train.as_dict())
    val = Shards("data/real/val")
    validation = val.images(), val.labels
    runs = {
        "base": ("train", recipe),
        "reference": ("pool", recipe_from(params.train.as_dict(), loss="cross_entropy")),
    }
    for name, (split, how) in runs.items():
        shards = Shards(f"data/real/{split}")
        counts = np.bincount(shards.labels).tolist()
        key = {"arm": name, "data": [hash_tree(f"data/real/{s}") for s in (split, "val")], **params.as_dict()}
        scratch = Scratch("train_base", key)
        model, curve = train_real(
            params.train.model, (shards.images(), shards.labels), validation, counts, how, params.seed, device(),
            scratch, name,
        )  # fmt: skip
        save(model, scratch.path / "model")
        scratch.publish("model", Path("data") / name)
        write_csv(f"metrics/curves/{name}.csv", curve)


if __name__ == "__main__":
    run_stage(main)
