"""Stage merge_balance: the balanced training set of an arm, as an index into real and synthetic shards."""

import sys
from pathlib import Path

from src.data.merge import merge, write_merged
from src.errors import run_stage
from src.shards import Shards


def main() -> None:
    arm = sys.argv[1]
    real, made = Shards("data/real/train"), Shards(f"data/synth/{arm}")
    write_merged(Path(f"data/merged/{arm}.csv"), merge(real.labels, made.labels, uniformise=arm == "synaug"))


if __name__ == "__main__":
    run_stage(main)
