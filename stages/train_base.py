"""Stage train_base: the base classifier on the long-tailed real images, and a reference classifier on all of them.

The base gives feedback and is the baseline; the reference judges images and bounds what balancing can reach.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from src.classifiers.models import save
from src.classifiers.pretrained import weights_digest
from src.data.labelled_images import image_counts, labelled
from src.data.names import read_names
from src.evaluation.accuracy import validation_report
from src.runtime.files import write_csv, write_json
from src.runtime.pipeline import inputs_of
from src.runtime.processes import device, is_main, rank, together, workers
from src.runtime.scratch import Scratch
from src.settings.arms import ARMS, BASE, BOUND
from src.settings.params import load, work_key
from src.settings.provenance import run
from src.settings.sections import MethodSettings, Params
from src.shards.store import Shards
from src.synthesis.preflight import checked
from src.training.arms import Setting, train_real, without_balancing


def main() -> None:
    params = load("train_base")
    kinds = ((BASE, "train", params.train), (BOUND, "pool", without_balancing(params.train)))
    wanted = [({"arm": arm}, *kind, params.seed, Path(ARMS[arm].classifier)) for arm, *kind in kinds]
    train("train_base", params, wanted)


def train(stage: str, params: Params, wanted: Sequence[tuple[dict, str, MethodSettings, int, Path]]) -> None:
    """Classifiers of real images alone, each published as its folder; those of arms with their curve and report.

    wanted: of each its own part of the key, {"arm": its name} or {"member": number}, split, method, seed, and folder.
    """
    processes = workers(params.recipe.parts)
    if rank() >= processes:
        return
    names = read_names("data/real")
    validation, long_tail = labelled(Shards("data/real/val"), names), image_counts(Shards("data/real/train"), names)
    key = work_key(params, inputs_of(stage), weights=weights_digest(params.recipe.weights))
    read = lru_cache(1)(lambda split: labelled(Shards(f"data/real/{split}"), names))  # one at a time in memory
    for own, split, method, seed, out in wanted:
        data, scratch = read(split), Scratch(stage, {**key, **own})
        setting = Setting(params.recipe, method, params.second_stages, validation, *data.counts(names), seed, device())
        with together(processes):
            trained = train_real(setting, data, scratch, out.name if "arm" in own else f"member {out.name}")
        if is_main():
            save(trained.model, scratch.path / "model")
            if "arm" in own:
                write_csv(f"data/results/curves/{out.name}.csv", trained.curve)
                write_json(
                    f"data/results/validation/{own['arm']}.json",
                    validation_report(trained.model, validation, names, long_tail, trained.later),
                )
            scratch.publish("model", out)


if __name__ == "__main__":
    run("train_base", checked(main), shared=True, arguments=False)
