"""Learnability: the criterion of the classifier less that of CLIP's zero-shot reading, and what that reading is."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from src.classifiers.models import build
from src.feedback.classifier_criterion import criterion_value, feedback_value
from src.feedback.criteria import criterion
from src.feedback.zero_shot import SCALES, PublishedClip, zero_shot_logits
from src.generators import loading
from src.generators.diffusion_model import DiffusionModel
from src.runtime.errors import InputError
from src.settings.sections import WeightsSettings
from tests.feedback.settings import feedback_settings
from tests.generators.miniatures import settings_of
from tests.generators.parts import tokenizer

CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(9) % 3


class Colours:
    """A CLIP that sees nothing but the mean of each channel, and reads prompts as channels."""

    def embed(self, x: Tensor, rounded: bool = True) -> Tensor:
        return x.float().mean((2, 3)) + 1

    def text_embeddings(self, prompts) -> Tensor:
        return 7 * torch.eye(3)[[("red", "green", "blue").index(prompt) for prompt in prompts]]


def plain_images(noise: float) -> np.ndarray:
    """Three of each class, red, green and blue, under so much noise."""
    x = np.eye(3)[LABELS][:, None, None] * 200 + 20
    x = x + noise * np.random.default_rng(1).normal(size=(9, 1, 1, 3))
    return np.broadcast_to(x.clip(0, 255).astype(np.uint8), (9, 8, 8, 3))


def test_the_reading_is_that_of_the_nearest_text_and_as_sure_as_real_images_bear_out() -> None:
    wrong = LABELS.copy()
    wrong[:3] = [1, 2, 0]
    names, images = ["red", "green", "blue"], plain_images(0)
    clear, hazy = (zero_shot_logits(Colours(), names, images, labels) for labels in (LABELS, wrong))
    x = torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert clear(x).argmax(1).tolist() == LABELS.tolist() == hazy(x).argmax(1).tolist()
    entropies = [float(criterion("entropy")(logits(x), x, torch.from_numpy(LABELS)).mean()) for logits in (clear, hazy)]
    assert entropies[0] < 0.01 < 0.1 < entropies[1]


def test_the_scale_is_the_likeliest_with_every_class_counting_alike() -> None:
    images, labels = plain_images(60)[:5], np.array([1, 1, 2, 0, 1])  # the first one's is wrong
    logits = zero_shot_logits(Colours(), ["red", "green", "blue"], images, labels)
    x = torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
    cosines, truth, losses = F.normalize(Colours().embed(x), dim=1).double(), torch.from_numpy(labels), []
    for scale in SCALES:
        each = F.cross_entropy(scale * cosines, truth, reduction="none")
        losses.append(np.mean([float(each[truth == k].mean()) for k in range(3)]))
    best = SCALES[int(np.argmin(losses))]
    assert SCALES[0] < best < SCALES[-1]
    assert torch.allclose(logits(x), best * cosines.float(), atol=1e-4)


def test_learnability_is_the_criterion_less_omega_times_the_reference_s_and_none_at_omega_zero() -> None:
    model, labels = build("small_cnn", 3, 8, 0).eval(), torch.from_numpy(LABELS)
    x = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).float() / 127.5 - 1
    reading = zero_shot_logits(Colours(), ["red", "green", "blue"], plain_images(0), LABELS)
    plain = criterion_value(model, criterion("loss"))(x, labels)
    settings = feedback_settings(criterion="loss", reference_weight=0.5)
    value = feedback_value(settings, [model], IMAGES, LABELS, CPU, reading)
    expected = plain - 0.5 * F.cross_entropy(reading(x), labels, reduction="none")
    assert torch.allclose(value(x, labels), expected, atol=1e-5)
    nothing = feedback_value(feedback_settings(criterion="loss"), [model], IMAGES, LABELS, CPU)
    assert torch.equal(nothing(x, labels), plain)


def test_up_the_learnability_an_image_is_harder_for_the_classifier_and_easier_for_the_reference() -> None:
    model, labels = build("small_cnn", 3, 8, 0).eval(), torch.from_numpy(LABELS)
    reading = zero_shot_logits(Colours(), ["red", "green", "blue"], plain_images(60), LABELS)
    settings = feedback_settings(criterion="loss", reference_weight=1.0)
    value = feedback_value(settings, [model], IMAGES, LABELS, CPU, reading)
    before = 0.5 * (torch.from_numpy(IMAGES).permute(0, 3, 1, 2).float() / 127.5 - 1)
    x = before.clone().requires_grad_()
    for _ in range(20):
        (g,) = torch.autograd.grad(value(x, labels).sum(), x)
        x = (x + 0.05 * g / g.flatten(1).norm(dim=1)[:, None, None, None]).detach().requires_grad_()
    hard, easy = criterion_value(model, criterion("loss")), criterion("loss")
    assert (hard(x, labels) > hard(before, labels)).float().mean() > 0.5
    assert (easy(reading(x), x, labels) < easy(reading(before), x, labels)).all()


@pytest.mark.parametrize("name", ["hardness", "disagreement"])
def test_a_criterion_that_clip_cannot_be_asked_is_refused(name: str) -> None:
    models = [build("small_cnn", 3, 8, seed) for seed in range(2)]
    settings = feedback_settings(criterion=name, reference_weight=1.0)
    reading = zero_shot_logits(Colours(), ["red", "green", "blue"], plain_images(0), LABELS)
    with pytest.raises(InputError, match="asks for more than one classifier's probabilities"):
        feedback_value(settings, models, IMAGES, LABELS, CPU, reading)


def test_the_shipped_generator_reads_its_own_words(frozen: DiffusionModel) -> None:
    shipped = loading.load(settings_of({"path": "models/tiny_unclip", "revision": None}), CPU)
    digits = [f"a photo of a {name}" for name in ("zero", "one", "seven")]
    embeddings = F.normalize(shipped.text_embeddings(digits), dim=1)
    assert embeddings.shape == (3, 64) and (embeddings @ embeddings.T - torch.eye(3)).max() < 0.9
    with pytest.raises(InputError, match="without CLIP's text projection; name a CLIP model in the feedback preset's"):
        frozen.text_embeddings(digits)


def test_a_published_clip_is_transformers_own(tmp_path: Path) -> None:
    words = tokenizer()
    text = {"vocab_size": len(words), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 16, "eos_token_id": words.eos_token_id}  # fmt: skip
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 32, "patch_size": 8}  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).eval()
    model.save_pretrained(tmp_path), words.save_pretrained(tmp_path)
    clip = PublishedClip("feedbacks.x.reference", WeightsSettings(path=str(tmp_path)), CPU)
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    tokens = words(["a photo of a zero", "a"], padding=True, return_tensors="pt")
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.481, 0.458, 0.408), (0.269, 0.261, 0.276)))
    with torch.no_grad():
        seen = model(pixel_values=((x + 1) / 2 - mean) / std, **tokens)
    assert torch.allclose(F.normalize(clip.embed(x), dim=1), seen.image_embeds, atol=5e-2)
    said = F.normalize(clip.text_embeddings(["a photo of a zero", "a"]), dim=1)
    assert torch.allclose(said, seen.text_embeds, atol=1e-5)
