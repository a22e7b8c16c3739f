"""Stage eval_fid_density_coverage: each arm's images against the real validation split, and their class agreement.

Feature spaces are those that `evaluation.features` lists; features are kept between runs.
"""

from src.runtime.entry import run_stage

from src.classifiers.models import load as load_classifier
from src.data.labelled_images import image_counts
from src.data.names import read_names
from src.evaluation.accuracy import predict
from src.evaluation.class_agreement import agreement
from src.evaluation.extractors import Sources, chosen
from src.evaluation.feature_cache import cached_features
from src.evaluation.feedback_trace import criteria, trace
from src.evaluation.image_quality import in_every_space
from src.generators.loading import load as load_generator
from src.runtime.files import write_json
from src.runtime.processes import device
from src.settings.params import load
from src.shards.store import Shards

ARMS = ("synaug", "guided")


def main() -> None:
    params = load("eval_fid_density_coverage")
    names = read_names("data/real")
    counts = image_counts(Shards("data/real/train"), names)[0]
    shards = {"real": Shards("data/real/val"), **{arm: Shards(f"data/synth/{arm}") for arm in ARMS}}
    labels = {name: part.labels for name, part in shards.items()}
    images = {name: part.images() for name, part in shards.items()}
    reference, base = (load_classifier(folder).to(device()) for folder in ("data/reference", "data/base"))
    settings = params.evaluation.as_dict()
    sources = Sources(settings, device(), reference, lambda: load_generator(params.generator, device()))
    extractors = chosen(settings["features"], sources)
    spaces = {
        space: {name: cached_features(space, extractor, part) for name, part in images.items()}
        for space, extractor in extractors.items()
    }
    report = in_every_space(spaces, labels, counts, settings["nearest_k"])
    for arm in ARMS:
        judged = predict(reference, images[arm])
        report[arm]["class_agreement"] = agreement(judged, labels[arm], counts, names.classes)
        report[arm]["base_classifier"] = criteria(predict(base, images[arm]), labels[arm])
        report[arm]["feedback"] = trace(shards[arm])
    write_json("metrics/fid_density_coverage.json", report)


if __name__ == "__main__":
    run_stage(main, arguments=False)
