"""Stage train_base: the base classifier on the long-tailed real images, and a reference classifier on all of them.

The base gives feedback and is the baseline; the reference judges images and bounds what balancing can reach.
"""

from pathlib import Path

from src.runtime.entry import run_stage

from src.classifiers.models import save
from src.classifiers.pretrained import weights_digest
from src.data.labelled_images import labelled
from src.data.names import read_names
from src.runtime.files import hash_tree, write_csv
from src.runtime.processes import device, is_main, rank, together, workers
from src.runtime.scratch import Scratch
from src.settings.params import load
from src.shards.store import Shards
from src.training.arms import Setting, optimisation, plain, train_real


def main() -> None:
    params = load("train_base")
    names, validation = read_names("data/real"), labelled(Shards("data/real/val"), read_names("data/real"))
    recipe, method = params.recipe.as_dict(), params.train.as_dict()
    processes = workers(optimisation(params.recipe.as_dict()).parts)
    if rank() >= processes:
        return
    for name, split, how in (("base", "train", method), ("reference", "pool", plain(method))):
        data = labelled(Shards(f"data/real/{split}"), names)
        inputs = [hash_tree(f"data/real/{s}") for s in (split, "val")]
        key = {"arm": name, "data": inputs, "weights": weights_digest(recipe), **params.as_dict()}
        scratch = Scratch("train_base", key)
        stages = params.second_stages.as_dict()
        setting = Setting(recipe, method, stages, validation, *data.counts(names), params.seed, device())
        with together(processes):
            model, curve = train_real(setting, data, how, scratch, name)
        if is_main():
            save(model, scratch.path / "model")
            write_csv(f"data/results/curves/{name}.csv", curve)
            scratch.publish("model", Path("data") / name)


if __name__ == "__main__":
    run_stage(main, shared=True, arguments=False)
