"""Stage prepare_lt: real images into long-tailed train, val, test and the full training pool, as shards with hashes."""

from pathlib import Path

from src.data.datasets import PUBLISHED, prepare
from src.data.leaks import leaks
from src.data.locations import raw_state
from src.data.names import NAMES, write_names
from src.data.split_writer import fingerprint, write_splits
from src.evaluation.power import weak_tests
from src.runtime.entry import tell
from src.runtime.files import write_json
from src.runtime.scratch import shared
from src.settings.params import load, work_key
from src.settings.provenance import run
from src.shards.lazy_images import ShardImages
from src.shards.store import Shards
from src.synthesis.preflight import checked

OUT = Path("data/real")


def main() -> None:
    params = load("prepare_lt")
    data = prepare(params.data, params.seed)
    key = work_key(params, (), images=fingerprint(data, raw_state(params.data)))
    with shared("prepare_lt", key, OUT) as scratch:
        if scratch is None:
            return
        # The posed digits come from no file that an id could name.
        hashes = write_splits(data, params.data.image_size, scratch.path, with_ids=params.data.kind != "digits")
        write_names(scratch.path, data.names)
        notes = [*data.notes, *weak_tests(data.test_counts, data.counts)]
        if params.data.kind in PUBLISHED:
            judging = ("pool", "val", "test")
            notes += leaks(
                {name: (ShardImages(Shards(scratch.path / name)), data.splits[name].ids) for name in judging}
            )
        write_json("data/results/splits.json", {**data.record(hashes), **({"notes": notes} if notes else {})})
        scratch.publish([*data.splits, NAMES], OUT)
        for note in notes:
            tell(note)


if __name__ == "__main__":
    run("prepare_lt", checked(main), arguments=False)
