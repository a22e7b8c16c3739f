"""Stage eval_fid_density_coverage: the images that each arm trains on, against the real validation split.

Feature spaces are those that `evaluation.features` lists; features are kept between runs. How hard the base classifier
finds both, in nats, stands in difficulty_by_shot.json: {criterion: {real or arm: {overall, many, medium, few: mean}}}.
"""

from pathlib import Path

from src.classifiers.models import load as load_classifier
from src.data.labelled_images import image_counts
from src.data.merged_index import read_merged
from src.data.names import read_names
from src.evaluation.accuracy import predict
from src.evaluation.class_agreement import class_agreement
from src.evaluation.extractors import Sources, default_spaces, extractor
from src.evaluation.feature_cache import cached_features
from src.evaluation.feedback_trace import feedback_trace, loss_and_entropy
from src.evaluation.image_quality import in_every_space
from src.feedback.difficulty import mean_difficulty, units
from src.generators.loading import load as load_generator
from src.runtime.files import write_json
from src.runtime.processes import device
from src.settings.arms import ARMS, BASE, BOUND, SYNTHETIC
from src.settings.params import load
from src.settings.provenance import run
from src.shards.lazy_images import subset
from src.shards.store import Shards


def main() -> None:
    params = load("eval_fid_density_coverage")
    names = read_names("data/real")
    counts = image_counts(Shards("data/real/train"), names)[0]
    real, trace = Shards("data/real/val"), {}
    images, labels, contexts = {"real": real.images()}, {"real": real.labels}, {"real": real.contexts}
    for arm in SYNTHETIC:
        shards, merged = Shards(f"data/synth/{arm}"), read_merged(Path(f"data/merged/{arm}.csv"))
        merged.check(Shards("data/real/train"), shards)
        used = merged.position[merged.synthetic]
        images[arm], labels[arm] = subset(shards.images(), used), shards.labels[used]
        contexts[arm] = None if shards.contexts is None else shards.contexts[used]
        trace[arm] = feedback_trace(shards, used)
    reference, base = (load_classifier(ARMS[arm].classifier).to(device()) for arm in (BOUND, BASE))
    generator = params.generator
    sources = Sources(
        params.evaluation, device(), reference, lambda: load_generator(generator, device()), Path(generator.path)
    )
    extractors = {space: extractor(space, sources) for space in params.evaluation.features or default_spaces(sources)}
    spaces = {
        space: {name: cached_features(space, embed, part) for name, part in images.items()}
        for space, embed in extractors.items()
    }
    report = in_every_space(spaces, labels, counts, params.evaluation.nearest_k)
    hard = {kind: loss_and_entropy(predict(base, part), labels[kind]) for kind, part in images.items()}
    for arm in SYNTHETIC:
        judged = predict(reference, images[arm])
        report[arm]["class_agreement"] = class_agreement(judged, labels[arm], counts, names.classes)
        report[arm]["base_classifier"] = {criterion: float(values.mean()) for criterion, values in hard[arm].items()}
        report[arm]["feedback"] = trace[arm]
    compared, width = units({kind: (labels[kind], contexts[kind]) for kind in images}, names)
    by_shot = {
        criterion: mean_difficulty({kind: (hard[kind][criterion], compared[kind]) for kind in images}, counts, width)
        for criterion in hard["real"]
    }
    write_json("data/results/difficulty_by_shot.json", by_shot)
    write_json("data/results/fid_density_coverage.json", report)


if __name__ == "__main__":
    run("eval_fid_density_coverage", main, arguments=False)
