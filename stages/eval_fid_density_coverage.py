"""Stage eval_fid_density_coverage: each arm's images against the real validation split, and their class agreement.

Feature spaces: the reference classifier's penultimate layer (primary) and the generator's CLIP tower.
"""

import numpy as np

from src.errors import run_stage
from src.evaluation.accuracy import predict
from src.evaluation.agreement import agreement
from src.evaluation.features import classifier_features, extract
from src.evaluation.quality import in_every_space
from src.files import write_json
from src.generators.unclip import load as load_generator
from src.parallel import device
from src.params import load
from src.shards import Shards
from src.training.models import load as load_classifier

ARMS = ("synaug", "guided")


def main() -> None:
    params = load("eval_fid_density_coverage")
    counts = np.bincount(Shards("data/real/train").labels).tolist()
    shards = {"real": Shards("data/real/val"), **{arm: Shards(f"data/synth/{arm}") for arm in ARMS}}
    labels = {name: part.labels for name, part in shards.items()}
    images = {name: part.images() for name, part in shards.items()}
    reference = load_classifier("data/reference").to(device())
    generator = load_generator(params.generator.path, params.generator.revision, device())
    extractors = {"reference_classifier": classifier_features(reference), "clip": generator.embed}
    spaces = {space: {name: extract(f, x) for name, x in images.items()} for space, f in extractors.items()}
    report = in_every_space(spaces, labels, counts, params.evaluation.nearest_k)
    for arm in ARMS:
        report[arm]["class_agreement"] = agreement(predict(reference, images[arm]), labels[arm], counts)
    write_json("metrics/fid_density_coverage.json", report)


if __name__ == "__main__":
    run_stage(main)
