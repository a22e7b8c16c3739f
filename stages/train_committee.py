"""Stage train_committee: other base classifiers, from other seeds, for feedback by disagreement; with none, nothing."""

from pathlib import Path

from src.classifiers.models import save
from src.classifiers.pretrained import weights_digest
from src.data.labelled_images import labelled
from src.data.names import read_names
from src.runtime.entry import run_stage
from src.runtime.files import write_json
from src.runtime.pipeline import inputs_of
from src.runtime.processes import device, is_main, rank, together, workers
from src.runtime.scratch import Scratch
from src.runtime.seeds import derive
from src.settings.params import load, work_key
from src.settings.provenance import unmoved
from src.shards.store import Shards
from src.training.arms import Setting, train_real

OUT = Path("data/committee")


def main() -> None:
    params = load("train_committee")
    processes = workers(params.recipe.parts)
    if rank() >= processes:
        return
    if is_main():
        write_json(OUT / "committee.json", {"members": params.committee - 1})
    if params.committee == 1:
        return
    names = read_names("data/real")
    validation, data = (labelled(Shards(f"data/real/{split}"), names) for split in ("val", "train"))
    key = work_key(params, inputs_of("train_committee"), weights=weights_digest(params.recipe.weights))
    for k in range(1, params.committee):
        scratch = Scratch("train_committee", {**key, "member": k})
        seed = derive("member", params.seed, k)
        setting = Setting(
            params.recipe, params.train, params.second_stages, validation, *data.counts(names), seed, device()
        )
        with together(processes):
            trained = train_real(setting, data, scratch, f"member {k}")
        if is_main():
            save(trained.model, scratch.path / "model")
            scratch.publish("model", OUT / str(k))


if __name__ == "__main__":
    run_stage(unmoved("train_committee", main), shared=True, arguments=False)
