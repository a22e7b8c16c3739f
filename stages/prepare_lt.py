"""Stage prepare_lt: real images into long-tailed train, val, test and the full training pool, as shards with hashes."""

from pathlib import Path

from src.data.datasets import prepare
from src.data.imbalance import shots
from src.errors import run_stage
from src.files import write_json
from src.params import load
from src.scratch import Scratch
from src.shards import write_all


def main() -> None:
    params = load("prepare_lt")
    data = prepare(params.dataset, params.seed)
    scratch = Scratch("prepare_lt", params.as_dict())
    for name, (images, labels) in data.splits.items():
        samples = [(image, {"label": int(label)}) for image, label in zip(images, labels, strict=True)]
        write_all(scratch.path / name, samples)
    scratch.publish(list(data.splits), Path("data/real"))
    write_json(
        "metrics/splits.json",
        {
            "images": {name: len(labels) for name, (_, labels) in data.splits.items()},
            "sha256": data.hashes(),
            "train_counts": dict(zip(data.class_names, data.counts, strict=True)),
            "shots": {shot: [data.class_names[k] for k in classes] for shot, classes in shots(data.counts).items()},
        },
    )


if __name__ == "__main__":
    run_stage(main)
