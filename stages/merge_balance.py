"""Stage merge_balance: the balanced training set of an arm, as an index into real and synthetic shards."""

import sys
from pathlib import Path

import numpy as np

from src.data.filtering import Looks, accepted
from src.data.merge import balanced_set, kept_images, within_budget
from src.data.merged_index import write_merged
from src.data.names import read_names
from src.runtime.entry import run_stage
from src.runtime.files import write_json
from src.runtime.pipeline import arm_of
from src.settings.params import load
from src.settings.provenance import unmoved
from src.settings.sections import Params
from src.shards.store import Shards


def main() -> None:
    arm = arm_of("merge_balance", sys.argv[1:])
    params = load("merge_balance", arm)
    real, synthetic = Shards("data/real/train"), Shards(f"data/synth/{arm}")
    kept = kept_images(real.labels, params.merge)
    band = params.merge.filter_low, params.merge.filter_high
    passed = accepted(params.merge.filter, lambda: looks(params, real, synthetic), band)
    offered = within_budget(synthetic, params.merge.per_class, passed, params.budget.balance)
    merged = balanced_set(real, synthetic, params.budget.balance, kept, offered)
    write_merged(Path(f"data/merged/{arm}.csv"), merged)
    write_json(f"data/results/filter/{arm}.json", shares(passed, synthetic.labels))


def looks(params: Params, real: Shards, synthetic: Shards) -> Looks:
    """What the generator's CLIP makes of all images and of the classes' prompts."""
    import torch
    import torch.nn.functional as F

    from src.classifiers.features import feature_batches
    from src.generators.loading import load as load_generator  # seconds, for the filters alone
    from src.runtime.processes import device
    from src.synthesis.prompts import Prompts

    names, generator = read_names("data/real"), load_generator(params.generator, device())
    prompts = Prompts(f"prompts/{params.dataset}.yaml", names.classes, names.contexts)
    plain = [prompts.plain(label) for label in range(len(names.classes))]
    texts = generator.text_embeddings(plain) if params.merge.filter == "clip" else torch.zeros(len(plain), 1)

    def seen(shards: Shards) -> np.ndarray:
        batches = feature_batches(
            lambda x: F.normalize(generator.embed(x), dim=1), shards.images(), torch.float32, describe="filter"
        )
        return np.concatenate(list(batches))

    said = F.normalize(texts, dim=1).cpu().numpy()
    return Looks(seen(synthetic), synthetic.labels, seen(real), real.labels, said)


def shares(passed: np.ndarray | None, labels: np.ndarray) -> dict[str, object]:
    """What the filter kept of the synthetic images, over all and by class; ready for JSON."""
    kept = np.ones(len(labels), bool) if passed is None else passed
    made, left = np.bincount(labels), np.bincount(labels[kept], minlength=labels.max() + 1)
    by_class = [None if made[k] == 0 else float(left[k] / made[k]) for k in range(len(made))]
    return {"share_kept": float(kept.mean()), "share_kept_by_class": by_class}


if __name__ == "__main__":
    run_stage(unmoved("merge_balance", main))
