"""Stage prepare_lt: real images into long-tailed train, val, test and the full training pool, as shards with hashes."""

from pathlib import Path

import numpy as np

from src.data.datasets import prepare
from src.data.imbalance import shots
from src.data.locations import state
from src.data.names import NAMES, Names, write_names
from src.data.prepared_data import PreparedData
from src.data.split_writer import fingerprint, write_splits
from src.runtime.entry import run_stage
from src.runtime.files import write_json
from src.runtime.scratch import Scratch, shared
from src.settings.params import Params, load

OUT = Path("data/real")


def groups(data: PreparedData) -> dict[str, dict[str, int]]:
    """Training images by class and context."""
    rows = np.reshape(data.group_counts, (len(data.class_names), -1)).tolist()
    return {
        name: dict(zip(data.context_names, row, strict=True)) for name, row in zip(data.class_names, rows, strict=True)
    }


def main() -> None:
    params = load("prepare_lt")
    data = prepare(params.data.as_dict(), params.seed)
    key = {**params.as_dict(), "images": fingerprint(data, state(params.data.as_dict()))}
    with shared("prepare_lt", key, OUT) as scratch:
        if scratch is not None:
            write(params, data, scratch)


def write(params: Params, data: PreparedData, scratch: Scratch) -> None:
    # The posed digits come from no file that an id could name.
    hashes = write_splits(data, params.data.image_size, scratch.path, with_ids=params.data.kind != "digits")
    write_names(scratch.path, Names(data.class_names, data.context_names))
    write_json(
        "metrics/splits.json",
        {
            "images": {name: len(source) for name, source in data.splits.items()},
            "sha256": hashes,
            "train_counts": dict(zip(data.class_names, data.counts, strict=True)),
            "shots": {shot: [data.class_names[k] for k in classes] for shot, classes in shots(data.counts).items()},
            **({"groups": groups(data)} if data.context_names else {}),
            **({"skipped": list(data.skipped)} if data.skipped else {}),
        },
    )
    scratch.publish([*data.splits, NAMES], OUT)


if __name__ == "__main__":
    run_stage(main, arguments=False)
