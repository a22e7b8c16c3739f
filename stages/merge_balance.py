"""Stage merge_balance: the balanced training set of an arm, as an index into real and synthetic shards."""

import sys
from pathlib import Path

from src.data.filtering import Looks, accepted, shares_kept, short
from src.data.merge import kept_images, uniformise, union, within_budget
from src.data.merged_index import write_merged
from src.data.names import read_names
from src.runtime.files import write_json
from src.runtime.pipeline import arm_of
from src.settings.params import load
from src.settings.provenance import run
from src.shards.store import Shards


def main() -> None:
    arm = arm_of("merge_balance", sys.argv[1:])
    params = load("merge_balance", arm)
    real, synthetic = Shards("data/real/train"), Shards(f"data/synth/{arm}")

    def looks() -> Looks:
        from src.synthesis.clip_looks import clip_looks  # seconds, for the filters alone

        return clip_looks(params, read_names("data/real"), real, synthetic)

    kept = kept_images(real.labels, params.merge)
    band = params.merge.filter_low, params.merge.filter_high
    passed = accepted(params.merge.filter, looks, band)
    offered = within_budget(synthetic, params.merge.per_class, passed, params.budget.balance)
    contexts = synthetic.contexts if params.budget.balance == "group" else None
    few = short(synthetic.labels, offered, params.merge.per_class, contexts)
    if params.merge.filter != "none" and few:
        classes = ", ".join(read_names("data/real").classes[k] for k in few)
        print(
            f"note: merge.filter={params.merge.filter} leaves fewer than {params.merge.per_class} images of {classes}; "
            f"raise budgets.{params.dataset}.per_class to make more"
        )
    # All that the budget made, so that budgets mean the same in every arm; where synthetic images replace real ones, as
    # many as fill every class up again.
    merge = union if kept.all() else uniformise
    merged = merge(real, synthetic, params.budget.balance, kept, offered)
    write_merged(Path(f"data/merged/{arm}.csv"), merged)
    write_json(f"data/results/filter/{arm}.json", shares_kept(passed, synthetic.labels))


if __name__ == "__main__":
    run("merge_balance", main)
