"""Is the shipped generator good enough? Its bars, measured on the development splits (seeds 0 to 4).

python -m benchmarks.generator_bars        # writes metrics/generator.json and metrics/sheets/generator.png
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from src.classifiers.features import classifier_features, extract
from src.classifiers.models import Classifier
from src.classifiers.models import load as load_classifier
from src.data.datasets import prepare
from src.data.digits import CLASS_NAMES
from src.data.grouping import first_of_each
from src.data.labelled_images import LabelledImages
from src.data.prepared_data import ImageSource
from src.evaluation.accuracy import predict
from src.evaluation.fid import GaussianStatistics, fid
from src.generators.diffusion_model import DiffusionModel
from src.generators.loading import load as load_generator
from src.generators.tiny.build import FEATURE_SPACE
from src.generators.tiny.corpus import CLASSES, STYLES, render
from src.runtime.entry import run_stage
from src.runtime.files import write_json
from src.runtime.pipeline import read_mapping
from src.runtime.seeds import numpy_generator
from src.settings.params import resolve
from src.settings.sections import Params
from src.shards.contact_sheet import contact_sheet
from src.shards.pixels import centre_square, to_tensor, to_uint8
from src.studies.experiments import experiment_of, parameters_of
from src.synthesis.conditioning import Conditioning
from src.synthesis.plan import synthesis_plan
from src.synthesis.prompts import Prompts
from src.synthesis.synthesiser import Synthesiser
from src.training.arms import Setting, train_real, without_balancing

IMAGES = 1000  # per bar, over all seeds
ARMS: dict[str, dict[str, Any]] = {
    "text": {"synth.conditioning": "text", "synth.image_dropout": 0.0},
    "text_image": {"synth.image_dropout": 0.0},
    "dropout": {},
}
JUDGE_TEST = 2000  # rendered images
CPU = torch.device("cpu")


@torch.no_grad()
def zero_shot(generator: DiffusionModel, images: np.ndarray) -> np.ndarray:
    """Classes (N,) that CLIP reads in images: the nearest "a photo of a {class}" by cosine."""
    texts = F.normalize(generator.text_embeddings([f"a photo of a {name}" for name in CLASS_NAMES]), dim=1)
    return (F.normalize(generator.image_embeddings(images), dim=1) @ texts.T).argmax(1).numpy()


def params_of(stage: str, seed: int, settings: Mapping[str, Any]) -> Params:
    """The stage's parameters with these settings, as in an experiment of that seed."""
    return resolve(stage, read_mapping(Path("dvc.yaml")), parameters_of(experiment_of(settings, seed)))


def read_glyphs(judge: Classifier, images: np.ndarray) -> np.ndarray:
    """Digits (N,) that the shipped feature space's own classifier reads in images, whatever their style."""
    by_class = predict(judge, images).reshape(len(images), len(CLASSES), len(STYLES)).sum(2)
    return by_class[:, [CLASSES.index(name) for name in CLASS_NAMES]].argmax(1)


def held_out_accuracy(judge: Classifier) -> float:
    """Of `read_glyphs` on rendered digits of every style that no training saw."""
    corpus = render(JUDGE_TEST, params_of("train_generator", 0, {}).tiny.pose, numpy_generator("judge corpus"))
    names = np.array(CLASSES)[corpus.classes]
    digits = np.flatnonzero(np.isin(names, CLASS_NAMES))
    read = read_glyphs(judge, corpus.images.permute(0, 2, 3, 1).numpy()[digits])
    return float((np.array(CLASS_NAMES)[read] == names[digits]).mean())


def classifier(
    params: Params, data: LabelledImages, validation: LabelledImages, counts: list[int], name: str
) -> Classifier:
    """One trained on these images without an answer to their imbalance."""
    method = without_balancing(params.train)
    setting = Setting(params.recipe, method, params.second_stages, validation, counts, None, params.seed, CPU)
    return train_real(setting, data, method, None, name)[0]


def stored(source: ImageSource, size: int) -> LabelledImages:
    """A split as prepare_lt stores it, in memory."""
    images = np.stack([centre_square(source.read(i), size) for i in range(len(source))])
    return LabelledImages(images, source.labels)


def synthesised(params: Params, real: LabelledImages, names: Any, generator: DiffusionModel) -> tuple[np.ndarray, Any]:
    """Unguided images (N, H, W, 3) of the plan and their provenance."""
    synth, level = params.synth, params.generator.noise_level
    prompts = Prompts(f"prompts/{params.dataset}.yaml", names.classes, names.contexts)
    plan = synthesis_plan(
        params.budget, real.labels, None, names, params.seed, prompts, conditioned=synth.conditioning != "text",
        modified=False,
    )  # fmt: skip
    conditioning = Conditioning(
        generator, plan, synth.conditioning, synth.image_dropout, synth.dropout_form, level, real.images
    )
    images, provenance = zip(
        *Synthesiser(generator, params.generator, plan, conditioning, None, real.images.shape[1])(plan), strict=True
    )
    return np.stack(images), provenance


def blurred(images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, 3) at half their resolution."""
    small = F.avg_pool2d(to_tensor(images), 2)
    return to_uint8(F.interpolate(small, images.shape[1:3], mode="bilinear", align_corners=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    each = IMAGES // (len(options.seeds) * len(CLASS_NAMES))
    budget = {"feedback": "none", "budgets.digits.per_class": each, "budgets.digits.fill": "add"}
    preset = params_of("synth_guided", 0, budget).generator
    generator, folder = load_generator(preset, CPU), Path(preset.path)
    judge = load_classifier(folder / FEATURE_SPACE)
    read: list[float] = []
    agree: dict[str, list[float]] = {name: [] for name in ARMS}
    fids: dict[str, dict[str, list[float]]] = {"shipped": {}, "reference_classifier": {}}
    sheets: dict[str, np.ndarray] = {}
    for seed in tqdm(options.seeds, desc="development seeds"):
        data_settings = params_of("prepare_lt", seed, budget).data
        data = prepare(data_settings, seed)
        splits = {name: stored(source, data_settings.image_size) for name, source in data.splits.items()}
        counts, _ = splits["pool"].counts(data.names)
        reference = classifier(params_of("train_base", seed, budget), splits["pool"], splits["val"], counts, "pool")
        for split in ("pool", "val"):
            real = splits[split]
            read += (zero_shot(generator, np.asarray(real.images)) == real.labels).tolist()
        chosen = first_of_each(splits["pool"].labels, np.full(len(CLASS_NAMES), each))
        kinds = {"real": splits["pool"].images[chosen]}
        kinds["real_blurred"] = blurred(kinds["real"])
        for name, settings in ARMS.items():
            params = params_of("synth_guided", seed, {**budget, **settings})
            images, provenance = synthesised(params, splits["train"], data.names, generator)
            judged = read_glyphs(judge, images) if name == "text" else predict(reference, images).argmax(1)
            agree[name] += (judged == [meta["label"] for meta in provenance]).tolist()
            sheets.setdefault(name, images)
            kinds[name] = images
        for space, model in (("shipped", judge), ("reference_classifier", reference)):
            val, *others = (
                GaussianStatistics.of(extract(classifier_features(model), images))
                for images in (splits["val"].images, *kinds.values())
            )
            for kind, statistics in zip(kinds, others, strict=True):
                fids[space].setdefault(kind, []).append(fid(val, statistics))
    rows = [
        image for name in ARMS for k in range(len(CLASS_NAMES)) for image in sheets[name][k :: len(CLASS_NAMES)][:12]
    ]
    labels_of_rows = [f"{name}: {digit}" for name in ARMS for digit in CLASS_NAMES]
    contact_sheet("metrics/sheets/generator.png", np.stack(rows), min(12, each), row_labels=labels_of_rows)
    write_json(
        "metrics/generator.json",
        {
            "seeds": options.seeds,
            "zero_shot_clip_on_posed_real_digits": float(np.mean(read)),
            "class_agreement_text_image": float(np.mean(agree["text_image"])),
            "class_agreement_default_dropout": float(np.mean(agree["dropout"])),
            "class_agreement_text_by_style_judge": float(np.mean(agree["text"])),
            "style_judge_held_out_accuracy": held_out_accuracy(judge),
            "images_per_bar": len(agree["text"]),
            # Real images of the pool, the same blurred, and the arms', against real validation images, mean over seeds.
            "fid": {space: {kind: float(np.mean(v)) for kind, v in kinds.items()} for space, kinds in fids.items()},
            "styles": list(STYLES),
        },
    )


if __name__ == "__main__":
    run_stage(main)
