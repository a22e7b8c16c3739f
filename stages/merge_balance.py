"""Stage merge_balance: the balanced training set of an arm, as an index into real and synthetic shards."""

import sys
from pathlib import Path

from src.runtime.entry import run_stage
from src.runtime.pipeline import arm_of

from src.data.merge import merge, to_replace, write_merged
from src.settings.params import load
from src.shards.store import Shards


def main() -> None:
    arm = arm_of("merge_balance", sys.argv[1:])
    params = load("merge_balance")
    real, made = Shards("data/real/train"), Shards(f"data/synth/{arm}")
    replaced = to_replace(real.labels, params.merge.replace_fraction, params.merge.replace_classes)
    merged = merge(
        real.labels, made.labels, arm == "synaug", real.contexts, made.contexts, params.budget.balance, replaced
    )
    write_merged(Path(f"data/merged/{arm}.csv"), merged)


if __name__ == "__main__":
    run_stage(main)
