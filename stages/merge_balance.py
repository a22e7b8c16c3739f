"""Stage merge_balance: the balanced training set of an arm, as an index into real and synthetic shards."""

import sys
from pathlib import Path

from src.data.merge import merge, write_merged
from src.errors import run_stage
from src.params import load
from src.shards import Shards


def main() -> None:
    arm = sys.argv[1]
    balance = load("merge_balance").budget.balance
    real, made = Shards("data/real/train"), Shards(f"data/synth/{arm}")
    merged = merge(real.labels, made.labels, arm == "synaug", real.contexts, made.contexts, balance)
    write_merged(Path(f"data/merged/{arm}.csv"), merged)


if __name__ == "__main__":
    run_stage(main)
