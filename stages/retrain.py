"""Stage retrain: a fresh classifier on real and synthetic images, as the arm's paper trains it."""

import sys
from pathlib import Path

from src.classifiers.models import save
from src.classifiers.pretrained import weights_digest
from src.data.labelled_images import LabelledImages, group_ids, image_counts, labelled
from src.data.merged_index import read_merged
from src.data.names import read_names
from src.evaluation.accuracy import validation_report
from src.runtime.files import write_csv, write_json
from src.runtime.pipeline import arm_of, inputs_of
from src.runtime.processes import device, is_main, rank, together, workers
from src.runtime.scratch import Scratch
from src.settings.arms import ARMS
from src.settings.params import load, work_key
from src.settings.provenance import run
from src.shards.store import Shards
from src.training.arms import Setting, train_guided, train_synaug


def main() -> None:
    arm = arm_of("retrain", sys.argv[1:])
    params = load("retrain", arm)
    processes = workers(params.recipe.parts)
    if rank() >= processes:
        return
    names, real, synthetic = read_names("data/real"), Shards("data/real/train"), Shards(f"data/synth/{arm}")
    merged = read_merged(Path(f"data/merged/{arm}.csv"))
    groups = None if merged.context is None else group_ids(merged.label, merged.context, names)
    data = LabelledImages(merged.images(real, synthetic), merged.label, groups)
    counts, validation = image_counts(real, names), labelled(Shards("data/real/val"), names)
    recipe = params.recipe.longer(params.retrain.length)
    weights = weights_digest(params.recipe.weights)
    scratch = Scratch(f"retrain-{arm}", work_key(params, inputs_of("retrain", arm), weights=weights))
    setting = Setting(recipe, params.train, params.second_stages, validation, *counts, params.seed, device())
    with together(processes):
        if arm == "guided":
            trained = train_guided(setting, data, merged.synthetic, params.retrain, params.budget.balance, scratch)
        else:
            trained = train_synaug(
                setting, data, merged.synthetic, params.retrain, params.synaug, params.budget.balance, scratch
            )
    if is_main():
        save(trained.model, scratch.path / "model")
        write_csv(f"data/results/curves/{arm}.csv", trained.curve)
        write_json(
            f"data/results/validation/{arm}.json",
            validation_report(trained.model, validation, names, counts, trained.later),
        )
        scratch.publish("model", Path(ARMS[arm].classifier))


if __name__ == "__main__":
    run("retrain", main, shared=True)
