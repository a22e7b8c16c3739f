"""Stage retrain: a fresh classifier on real and synthetic images, as the arm's paper trains it."""

import sys
from pathlib import Path

from src.classifiers.models import save
from src.classifiers.pretrained import weights_digest
from src.data.labelled_images import LabelledImages, group_ids, image_counts, labelled
from src.data.merge import read_merged
from src.data.names import read_names
from src.runtime.entry import run_stage
from src.runtime.files import hash_tree, write_csv
from src.runtime.pipeline import arm_of
from src.runtime.processes import device, is_main, rank, together, workers
from src.runtime.scratch import Scratch
from src.settings.params import load
from src.shards.store import Shards
from src.training.arms import Setting, optimisation, train_guided, train_synaug


def main() -> None:
    arm = arm_of("retrain", sys.argv[1:])
    params = load("retrain", arm)
    processes = workers(optimisation(params.recipe.as_dict()).parts)
    if rank() >= processes:
        return
    names, real, made = read_names("data/real"), Shards("data/real/train"), Shards(f"data/synth/{arm}")
    merged = read_merged(Path(f"data/merged/{arm}.csv"))
    groups = None if merged.context is None else group_ids(merged.label, merged.context, names)
    data = LabelledImages(merged.images(real, made), merged.label, groups)
    counts = image_counts(real, names)
    inputs = [hash_tree(p) for p in ("data/real/train", "data/real/val", f"data/synth/{arm}", f"data/merged/{arm}.csv")]
    weights = weights_digest(params.recipe.as_dict())
    scratch = Scratch(f"retrain-{arm}", {"inputs": inputs, "weights": weights, **params.as_dict()})
    validation = labelled(Shards("data/real/val"), names)
    setting = Setting(
        params.recipe.as_dict(), params.train.as_dict(), params.second_stages.as_dict(), validation, *counts,
        params.seed, device(),
    )  # fmt: skip
    common, balance = (setting, data, merged.synthetic, params.retrain.as_dict()), params.budget.balance
    with together(processes):
        if arm == "guided":
            model, curve = train_guided(*common, balance, scratch)
        else:
            model, curve = train_synaug(*common, params.synaug.as_dict(), balance, scratch)
    if is_main():
        save(model, scratch.path / "model")
        write_csv(f"data/results/curves/{arm}.csv", curve)
        scratch.publish("model", Path(f"data/retrained/{arm}"))


if __name__ == "__main__":
    run_stage(main, shared=True)
