"""Is a shipped generator good enough? Its bars, measured on the development splits (seeds 0 to 4) of its data set.

python -m benchmarks.generator_bars        # writes metrics/generator.json and metrics/sheets/generator.png
python -m benchmarks.generator_bars --generator tiny_fashion        # metrics/generators/tiny_fashion.json and .png
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from src.classifiers.features import classifier_features, extract
from src.classifiers.models import Classifier
from src.classifiers.models import load as load_classifier
from src.data.datasets import prepare
from src.data.grouping import first_of_each
from src.data.labelled_images import LabelledImages
from src.data.prepared_data import ImageSource
from src.data.published.fashion_files import read_sheet
from src.evaluation.accuracy import predict
from src.evaluation.fid import GaussianStatistics, fid
from src.generators.diffusion_model import DiffusionModel
from src.generators.loading import load as load_generator
from src.generators.tiny.build import FEATURE_SPACE
from src.generators.tiny.corpus import Corpus
from src.generators.tiny.glyphs import render
from src.generators.tiny.photographs import compose
from src.runtime.entry import run_stage
from src.runtime.files import write_json
from src.runtime.pipeline import read_mapping
from src.runtime.seeds import numpy_generator
from src.settings.params import resolve
from src.settings.schema import build
from src.settings.sections import Params, TinySettings
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
JUDGE_TEST = 2000  # images of its corpus' kind
CPU = torch.device("cpu")


class Subject(NamedTuple):
    """A shipped generator: the data set that it is for, and what its images are called; its section of params.yaml;
    images as its corpus has them that it never saw; out, sheet: what is written."""

    dataset: str
    real: str
    section: str
    unseen: Callable[[TinySettings], Corpus]
    out: str
    sheet: str


def _unseen_glyphs(settings: TinySettings) -> Corpus:
    return render(JUDGE_TEST, settings.pose, numpy_generator("judge corpus"))


def _unseen_photographs(settings: TinySettings) -> Corpus:
    """Of those that ship, none of which the generator saw."""
    photographs = read_sheet(Path("data/raw/fashion_lt"), "train")
    assert photographs is not None, "data/raw/fashion_lt/train.png ships"
    return compose(photographs, JUDGE_TEST, settings.pose, numpy_generator("judge corpus"))


SUBJECTS = {
    "tiny_unclip": Subject(
        "digits", "posed_real_digits", "tiny", _unseen_glyphs,
        "metrics/generator.json", "metrics/sheets/generator.png",
    ),
    "tiny_fashion": Subject(
        "fashion_lt", "real_photographs", "tiny_fashion", _unseen_photographs,
        "metrics/generators/tiny_fashion.json", "metrics/generators/tiny_fashion.png",
    ),
}  # fmt: skip


@torch.no_grad()
def zero_shot(generator: DiffusionModel, images: np.ndarray, prompts: list[str]) -> np.ndarray:
    """Classes (N,) that CLIP reads in images: the nearest of the classes' prompts by cosine."""
    texts = F.normalize(generator.text_embeddings(prompts), dim=1)
    return (F.normalize(generator.image_embeddings(images), dim=1) @ texts.T).argmax(1).numpy()


def params_of(stage: str, seed: int, settings: Mapping[str, Any]) -> Params:
    """The stage's parameters with these settings, as in an experiment of that seed."""
    return resolve(stage, read_mapping(Path("dvc.yaml")), parameters_of(experiment_of(settings, seed)))


def read_classes(judge: Classifier, images: np.ndarray, corpus: Corpus, classes: tuple[str, ...]) -> np.ndarray:
    """Which of the classes (N,) the shipped feature space's own classifier reads in images, whatever their style."""
    by_class = predict(judge, images).reshape(len(images), len(corpus.class_names), len(corpus.style_names)).sum(2)
    return by_class[:, [corpus.class_names.index(name) for name in classes]].argmax(1)


def held_out_accuracy(judge: Classifier, corpus: Corpus, classes: tuple[str, ...]) -> float:
    """Of `read_classes` on images of every style that no training saw."""
    names = np.array(corpus.class_names)[corpus.classes]
    ours = np.flatnonzero(np.isin(names, classes))
    read = read_classes(judge, corpus.images.permute(0, 2, 3, 1).numpy()[ours], corpus, classes)
    return float((np.array(classes)[read] == names[ours]).mean())


def classifier(
    params: Params, data: LabelledImages, validation: LabelledImages, counts: list[int], name: str
) -> Classifier:
    """One trained on these images without an answer to their imbalance."""
    method = without_balancing(params.train)
    setting = Setting(params.recipe, method, params.second_stages, validation, counts, None, params.seed, CPU)
    return train_real(setting, data, None, name)[0]


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
    parser.add_argument("--generator", choices=SUBJECTS, default="tiny_unclip")
    options = parser.parse_args()
    subject = SUBJECTS[options.generator]
    names = prepare(params_of("prepare_lt", 0, {"dataset": subject.dataset}).data, 0).names
    prompts = Prompts(f"prompts/{subject.dataset}.yaml", names.classes)
    each = IMAGES // (len(options.seeds) * len(prompts))
    budget: dict[str, Any] = {"dataset": subject.dataset, "generator": "tiny_unclip", "feedback": "none"}
    budget |= {f"budgets.{subject.dataset}.per_class": each, f"budgets.{subject.dataset}.fill": "add"}
    section = read_mapping(Path("params.yaml"))[subject.section]
    corpus = subject.unseen(build(TinySettings, section, subject.section))
    preset = params_of("synth_guided", 0, budget).generator
    generator, folder = load_generator(preset, CPU), Path(preset.path)
    judge = load_classifier(folder / FEATURE_SPACE)
    read: list[float] = []
    judged_real: list[float] = []  # what agreement of images as real as these would be
    agree: dict[str, list[float]] = {name: [] for name in ARMS}
    fids: dict[str, dict[str, list[float]]] = {"shipped": {}, "reference_classifier": {}}
    sheets: dict[str, np.ndarray] = {}
    for seed in tqdm(options.seeds, desc="development seeds"):
        data_settings = params_of("prepare_lt", seed, budget).data
        data = prepare(data_settings, seed)
        splits = {name: stored(source, data_settings.image_size) for name, source in data.splits.items()}
        counts, _ = splits["pool"].counts(data.names)
        reference = classifier(params_of("train_base", seed, budget), splits["pool"], splits["val"], counts, "pool")
        judged_real += (predict(reference, splits["val"].images).argmax(1) == splits["val"].labels).tolist()
        for split in ("pool", "val"):
            real = splits[split]
            found = zero_shot(generator, np.asarray(real.images), [prompts.plain(k) for k in range(len(prompts))])
            read += (found == real.labels).tolist()
        chosen = first_of_each(splits["pool"].labels, np.full(len(prompts), each))
        kinds = {"real": splits["pool"].images[chosen]}
        kinds["real_blurred"] = blurred(kinds["real"])
        for name, settings in ARMS.items():
            params = params_of("synth_guided", seed, {**budget, **settings})
            images, provenance = synthesised(params, splits["train"], data.names, generator)
            if name == "text":  # in styles that the reference has never seen
                judged = read_classes(judge, images, corpus, names.classes)
            else:
                judged = predict(reference, images).argmax(1)
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
    classes = len(prompts)
    rows = [image for name in ARMS for k in range(classes) for image in sheets[name][k::classes][:12]]
    labels_of_rows = [f"{name}: {shown}" for name in ARMS for shown in names.classes]
    contact_sheet(subject.sheet, np.stack(rows), min(12, each), row_labels=labels_of_rows)
    write_json(
        subject.out,
        {
            "seeds": options.seeds,
            f"zero_shot_clip_on_{subject.real}": float(np.mean(read)),
            "reference_classifier_on_real_validation": float(np.mean(judged_real)),
            "class_agreement_text_image": float(np.mean(agree["text_image"])),
            "class_agreement_default_dropout": float(np.mean(agree["dropout"])),
            "class_agreement_text_by_style_judge": float(np.mean(agree["text"])),
            "style_judge_held_out_accuracy": held_out_accuracy(judge, corpus, names.classes),
            "images_per_bar": len(agree["text"]),
            # Real images of the pool, the same blurred, and the arms', against real validation images, mean over seeds.
            "fid": {space: {kind: float(np.mean(v)) for kind, v in kinds.items()} for space, kinds in fids.items()},
            "styles": list(corpus.style_names),
        },
    )


if __name__ == "__main__":
    run_stage(main)
