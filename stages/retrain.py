"""Stage retrain: a fresh classifier on real and synthetic images, as the arm's paper trains it."""

import sys
from pathlib import Path

import numpy as np

from src.data.merge import read_merged
from src.errors import run_stage
from src.files import hash_tree, write_csv
from src.parallel import device
from src.params import load
from src.scratch import Scratch
from src.shards import Shards
from src.training.arms import last_layer_recipe, recipe_from, train_guided, train_synaug
from src.training.models import save


def main() -> None:
    arm = sys.argv[1]
    params = load("retrain")
    real, made, val = Shards("data/real/train"), Shards(f"data/synth/{arm}"), Shards("data/real/val")
    merged = read_merged(Path(f"data/merged/{arm}.csv"))
    data, validation = (merged.images(real, made), merged.label), (val.images(), val.labels)
    counts = np.bincount(real.labels).tolist()
    inputs = [hash_tree(p) for p in ("data/real/train", "data/real/val", f"data/synth/{arm}", f"data/merged/{arm}.csv")]
    scratch = Scratch(f"retrain-{arm}", {"inputs": inputs, **params.as_dict()})
    common = params.train.model, data, merged.synthetic, validation, counts
    if arm == "guided":
        recipe, fraction = recipe_from(params.train.as_dict()), params.retrain.fraction_real
        model, curve = train_guided(*common, recipe, fraction, params.seed, device(), scratch)
    else:
        mixing = {"mixing": params.synaug.mixing, "mixing_alpha": params.synaug.mixing_alpha}
        recipe = recipe_from(params.train.as_dict(), **mixing)
        last = last_layer_recipe(params.train.as_dict(), params.synaug.last_layer.as_dict())
        model, curve = train_synaug(*common, recipe, last, params.seed, device(), scratch)
    save(model, scratch.path / "model")
    scratch.publish("model", Path(f"data/retrained/{arm}"))
    write_csv(f"metrics/curves/{arm}.csv", curve)


if __name__ == "__main__":
    run_stage(main)
