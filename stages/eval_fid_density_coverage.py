"""Stage eval_fid_density_coverage: each arm's images against the real validation split, and their class agreement.

Feature spaces are those that `evaluation.features` lists; features are kept between runs.
"""

from src.data.labelled import image_counts
from src.data.names import read_names
from src.errors import run_stage
from src.evaluation.accuracy import predict
from src.evaluation.agreement import agreement
from src.evaluation.cache import cached_features
from src.evaluation.extractors import Sources, chosen
from src.evaluation.guidance import criteria, trace
from src.evaluation.quality import in_every_space
from src.files import write_json
from src.generators.loading import load as load_generator
from src.parallel import device
from src.params import load
from src.shards import Shards
from src.training.models import load as load_classifier

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
    sources = Sources(settings, device(), reference, lambda: load_generator(params.generator.as_dict(), device()))
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
