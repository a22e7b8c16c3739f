"""Stage train_base: the base classifier on the long-tailed real images, and a reference classifier on all of them.

The base gives feedback and is the baseline; the reference judges images and bounds what balancing can reach.
"""

from pathlib import Path

from src.classifiers.models import save
from src.classifiers.pretrained import weights_digest
from src.data.labelled_images import image_counts, labelled
from src.data.names import read_names
from src.evaluation.accuracy import validation_report
from src.runtime.entry import run_stage
from src.runtime.files import write_csv, write_json
from src.runtime.pipeline import inputs_of
from src.runtime.processes import device, is_main, rank, together, workers
from src.runtime.scratch import Scratch
from src.settings.arms import ARMS, BASE, BOUND
from src.settings.params import load, work_key
from src.settings.provenance import unmoved
from src.shards.store import Shards
from src.synthesis.preflight import checked
from src.training.arms import Setting, train_real, without_balancing


def main() -> None:
    params = load("train_base")
    processes = workers(params.recipe.parts)
    if rank() >= processes:
        return
    names = read_names("data/real")
    validation, long_tail = labelled(Shards("data/real/val"), names), image_counts(Shards("data/real/train"), names)
    key = work_key(params, inputs_of("train_base"), weights=weights_digest(params.recipe.weights))
    for arm, split, method in ((BASE, "train", params.train), (BOUND, "pool", without_balancing(params.train))):
        out = Path(ARMS[arm].classifier)
        data = labelled(Shards(f"data/real/{split}"), names)
        scratch = Scratch("train_base", {**key, "arm": arm})
        setting = Setting(
            params.recipe, method, params.second_stages, validation, *data.counts(names), params.seed, device()
        )
        with together(processes):
            trained = train_real(setting, data, scratch, out.name)
        if is_main():
            save(trained.model, scratch.path / "model")
            write_csv(f"data/results/curves/{out.name}.csv", trained.curve)
            write_json(
                f"data/results/validation/{arm}.json",
                validation_report(trained.model, validation, names, long_tail, trained.later),
            )
            scratch.publish("model", out)


if __name__ == "__main__":
    run_stage(unmoved("train_base", checked(main)), shared=True, arguments=False)
