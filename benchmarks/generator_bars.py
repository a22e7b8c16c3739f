"""Is the shipped generator good enough? Its bars, measured on the development splits (seeds 0 to 4).

python -m benchmarks.generator_bars        # writes metrics/generator.json and metrics/sheets/generator.png
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from tqdm import tqdm

from benchmarks.arms import Arm
from benchmarks.evidence import settings
from benchmarks.seeds import Seed, generator_of
from src.classifiers.models import Classifier
from src.data.digits import CLASS_NAMES
from src.data.labelled_images import LabelledImages
from src.data.pose import PoseRange
from src.evaluation.accuracy import predict
from src.generators.diffusion_model import DiffusionModel
from src.generators.tiny.corpus import CLASSES, STYLES, render
from src.runtime.checkpoint_file import load_checkpoint
from src.runtime.entry import run_stage
from src.runtime.errors import InputError
from src.runtime.files import read_bytes, write_json
from src.runtime.seeds import numpy_generator
from src.shards.contact_sheet import contact_sheet
from src.training.arms import Setting, plain, train_real

IMAGES = 1000  # per bar, over all seeds
ARMS = {"text": Arm("text", "text", dropout=False), "text_image": Arm("ti", dropout=False), "dropout": Arm("tid")}
JUDGE_IMAGES, JUDGE_STEPS, JUDGE_TEST = 24000, 1500, 2000


@torch.no_grad()
def zero_shot(generator: DiffusionModel, folder: Path, images: np.ndarray) -> np.ndarray:
    """Classes (N,) that CLIP reads in images: the nearest "a photo of a {class}" by cosine."""
    saved = load_checkpoint(folder / "zero_shot" / "text_projection.safetensors")
    if saved is None:
        raise InputError(f"{folder} has no zero_shot/text_projection.safetensors; run `make generator` to write it")
    words = generator.pipeline.tokenizer
    prompts = [f"a photo of a {name}" for name in CLASS_NAMES]
    tokens = words(prompts, padding="max_length", max_length=words.model_max_length, return_tensors="pt")
    pooled = generator.pipeline.text_encoder(tokens.input_ids).pooler_output.float()
    texts = F.normalize(pooled @ saved[0]["weight"].float().T, dim=1)
    return (F.normalize(generator.image_embeddings(images), dim=1) @ texts.T).argmax(1).numpy()


def style_judge(params: dict[str, Any]) -> tuple[Classifier, float]:
    """A classifier of digits in every style of the corpus, and its accuracy on held-out corpus images."""
    pose = PoseRange.from_mapping(params["tiny"]["pose"])
    parts = []
    for name, count in (("train", JUDGE_IMAGES), ("held out", JUDGE_TEST)):
        corpus = render(count, pose, numpy_generator("judge corpus", name))
        digits = np.flatnonzero(np.isin(corpus.classes, [CLASSES.index(name) for name in CLASS_NAMES]))
        parts.append((corpus.images.permute(0, 2, 3, 1).numpy()[digits], corpus.classes[digits]))
    counts = np.bincount(parts[0][1]).tolist()
    recipe = {**params["recipes"]["digits"], "steps": JUDGE_STEPS, "batch": 128}
    validation = LabelledImages(parts[1][0][:500], parts[1][1][:500])
    method = plain(params["train"])
    setting = Setting(recipe, method, params["second_stages"], validation, counts, None, 0, torch.device("cpu"))
    model, _ = train_real(setting, LabelledImages(*parts[0]), method, None, "judge")
    held_out = predict(model, parts[1][0][500:]).argmax(1) == parts[1][1][500:]
    return model, float(held_out.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    params = {**settings([]), "tiny": yaml.safe_load(read_bytes("params.yaml"))["tiny"]}
    generator = generator_of(params)
    folder = Path(params["generators"][params["generator"]]["path"])
    judge, judge_accuracy = style_judge(params)
    each = IMAGES // (len(options.seeds) * len(CLASS_NAMES))
    params["budgets"]["digits"] |= {"per_class": each, "fill": "add"}
    read: list[float] = []
    agree: dict[str, list[float]] = {name: [] for name in ARMS}
    sheets: dict[str, np.ndarray] = {}
    for seed in tqdm(options.seeds, desc="development seeds"):
        run = Seed(params, seed, "val")
        for split in ("pool", "val"):
            real = run.splits[split]
            read += (zero_shot(generator, folder, np.asarray(real.images)) == real.labels).tolist()
        for name, arm in ARMS.items():
            images, provenance = run.synthesise(arm, generator)
            judged = predict(judge if name == "text" else run.reference, images).argmax(1)
            agree[name] += (judged == [meta["label"] for meta in provenance]).tolist()
            sheets.setdefault(name, images)
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
            "style_judge_held_out_accuracy": judge_accuracy,
            "images_per_bar": len(agree["text"]),
            "styles": list(STYLES),
        },
    )


if __name__ == "__main__":
    run_stage(main)
