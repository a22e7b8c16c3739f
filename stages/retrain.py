"""Stage retrain: a fresh classifier on real and synthetic images, as the arm's paper trains it."""

import sys
from pathlib import Path

from src.data.labelled import Labelled, group_ids, image_counts, labelled
from src.data.merge import read_merged
from src.data.names import read_names
from src.errors import run_stage
from src.files import hash_tree, write_csv
from src.parallel import device, is_main, rank, together, workers
from src.params import arm_of, load
from src.scratch import Scratch
from src.shards import Shards
from src.training.arms import Setting, optimisation, train_guided, train_synaug
from src.training.models import save
from src.training.pretrained import weights_digest


def main() -> None:
    arm = arm_of("retrain", sys.argv[1:])
    params = load("retrain")
    processes = workers(optimisation(params.recipe.as_dict()).parts)
    if rank() >= processes:
        return
    names, real, made = read_names("data/real"), Shards("data/real/train"), Shards(f"data/synth/{arm}")
    merged = read_merged(Path(f"data/merged/{arm}.csv"))
    groups = None if merged.context is None else group_ids(merged.label, merged.context, names)
    data = Labelled(merged.images(real, made), merged.label, groups)
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
        write_csv(f"metrics/curves/{arm}.csv", curve)
        scratch.publish("model", Path(f"data/retrained/{arm}"))


if __name__ == "__main__":
    run_stage(main, shared=True)
