"""Stage eval_fid_density_coverage: each arm's images against the real validation split, and their class agreement.

Feature spaces are those that `evaluation.features` lists; features are kept between runs.
"""

from src.classifiers.models import load as load_classifier
from src.data.labelled_images import image_counts
from src.data.names import read_names
from src.evaluation.accuracy import predict
from src.evaluation.class_agreement import class_agreement
from src.evaluation.extractors import Sources, extractor
from src.evaluation.feature_cache import cached_features
from src.evaluation.feedback_trace import feedback_trace, loss_and_entropy
from src.evaluation.image_quality import in_every_space
from src.generators.loading import load as load_generator
from src.runtime.entry import run_stage
from src.runtime.files import write_json
from src.runtime.processes import device
from src.settings.arms import ARMS, BASE, BOUND, SYNTHETIC
from src.settings.params import load
from src.shards.store import Shards


def main() -> None:
    params = load("eval_fid_density_coverage")
    names = read_names("data/real")
    counts = image_counts(Shards("data/real/train"), names)[0]
    shards = {"real": Shards("data/real/val"), **{arm: Shards(f"data/synth/{arm}") for arm in SYNTHETIC}}
    labels = {name: part.labels for name, part in shards.items()}
    images = {name: part.images() for name, part in shards.items()}
    reference, base = (load_classifier(ARMS[arm].classifier).to(device()) for arm in (BOUND, BASE))
    sources = Sources(params.evaluation, device(), reference, lambda: load_generator(params.generator, device()))
    extractors = {space: extractor(space, sources) for space in params.evaluation.features}
    spaces = {
        space: {name: cached_features(space, embed, part) for name, part in images.items()}
        for space, embed in extractors.items()
    }
    report = in_every_space(spaces, labels, counts, params.evaluation.nearest_k)
    for arm in SYNTHETIC:
        judged = predict(reference, images[arm])
        report[arm]["class_agreement"] = class_agreement(judged, labels[arm], counts, names.classes)
        report[arm]["base_classifier"] = loss_and_entropy(predict(base, images[arm]), labels[arm])
        report[arm]["feedback"] = feedback_trace(shards[arm])
    write_json("data/results/fid_density_coverage.json", report)


if __name__ == "__main__":
    run_stage(main, arguments=False)
