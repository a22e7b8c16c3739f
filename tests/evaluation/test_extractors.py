"""Each feature space is the published one: same network, same resizing, same normalisation; and bad weights are named.

The weights are random and the transformers are miniatures, saved to disk and loaded as real ones are.
"""

import io
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
import torchvision.transforms as T
from PIL import Image
from safetensors.torch import save_file
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    CLIPVisionModelWithProjection,
    Dinov2Config,
    Dinov2Model,
)

from src.classifiers.features import extract
from src.classifiers.models import Classifier, build, save
from src.evaluation.extractors import EXTRACTORS, Sources, default_spaces, extractor
from src.runtime.errors import InputError
from src.settings.sections import EvaluationSettings, WeightsSettings
from src.shards.pixels import to_tensor

IMAGES = np.random.default_rng(0).integers(256, size=(3, 40, 40, 3), dtype=np.uint8)
SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A folder with `clip`, `dinov2`, `bert` and `inception.pth`, all random."""
    root = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    vision = {**SIZES, "image_size": 32, "patch_size": 16, "projection_dim": 5}
    text = {**SIZES, "vocab_size": 9, "max_position_embeddings": 4, "projection_dim": 5}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=5)).save_pretrained(root / "clip")
    Dinov2Model(Dinov2Config(**SIZES, image_size=56, patch_size=14)).save_pretrained(root / "dinov2")
    BertModel(BertConfig(**SIZES, vocab_size=9)).save_pretrained(root / "bert")
    # torchvision's network has the names that torch-fidelity and pytorch-fid use.
    network = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, init_weights=False)
    torch.save(network.state_dict(), root / "inception.pth")
    return root


def sources(**presets: Any) -> Sources:
    """Where nothing but the presets may be needed."""
    given = {name: WeightsSettings(path=str(path)) for name, path in presets.items()}
    settings = EvaluationSettings(nearest_k=5, features=tuple(presets) or ("clip",), **given)
    reference = build("small_cnn", 4, 32, seed=0)
    return Sources(settings, torch.device("cpu"), reference, lambda: pytest.fail("not needed"), Path("nowhere"))


def prepared(side: int, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """The images as the publishers' code prepares them, by Pillow."""
    steps = [T.Resize((side, side), T.InterpolationMode.BICUBIC), T.ToTensor(), T.Normalize(mean, std)]
    return torch.stack([T.Compose(steps)(Image.fromarray(image)) for image in IMAGES])


def close(found: np.ndarray, expected: torch.Tensor) -> bool:
    """Equal but for Pillow's rounding of resized images to bytes."""
    return np.allclose(found, expected, atol=0.02 * float(expected.std()))


def test_clip_is_the_image_tower_and_projection_of_a_whole_clip(weights) -> None:
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    found = extract(extractor("openai_clip", sources(openai_clip=weights / "clip")), IMAGES, batch=2)
    tower = CLIPVisionModelWithProjection.from_pretrained(weights / "clip")
    assert found.shape == (3, 5) and close(found, tower(pixel_values=prepared(32, mean, std)).image_embeds.detach())


def test_clip_images_of_its_own_size_are_only_normalised(weights) -> None:
    images = IMAGES[:, :32, :32]
    x = (to_tensor(images) + 1) / 2
    x = (x - torch.tensor((0.48145466, 0.4578275, 0.40821073)).view(3, 1, 1)) / torch.tensor(
        (0.26862954, 0.26130258, 0.27577711)
    ).view(3, 1, 1)
    expected = CLIPVisionModelWithProjection.from_pretrained(weights / "clip")(pixel_values=x).image_embeds.detach()
    found = extract(extractor("openai_clip", sources(openai_clip=weights / "clip")), images)
    assert np.allclose(found, expected, atol=1e-6)


def test_dinov2_is_the_class_token_at_224_pixels(weights) -> None:
    found = extract(extractor("dinov2", sources(dinov2=weights / "dinov2")), IMAGES)
    model = Dinov2Model.from_pretrained(weights / "dinov2")
    expected = model(prepared(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))).pooler_output.detach()
    assert found.shape == (3, 16) and close(found, expected)


@pytest.mark.slow
def test_inception_features_equal_torch_fidelitys(weights, tmp_path) -> None:
    reference = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(weights / "inception.pth"))
    with torch.no_grad():
        (expected,) = reference(torch.from_numpy(IMAGES).permute(0, 3, 1, 2).contiguous())
    tensors = {name: value.contiguous() for name, value in torch.load(weights / "inception.pth").items()}
    save_file(tensors, tmp_path / "inception.safetensors")
    for path in (weights / "inception.pth", tmp_path / "inception.safetensors"):
        found = extract(extractor("inception", sources(inception=path)), IMAGES)
        assert found.shape == (3, 2048) and np.array_equal(found, expected.numpy())


def test_the_reference_classifier_and_the_generators_tower_are_used_as_they_are() -> None:
    class Generator:
        takes_image = True

        def embed(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x.flatten(1)

    base = sources()
    here = replace(base, generator=Generator)
    images = IMAGES[:, :32, :32]
    assert np.allclose(extract(extractor("clip", here), images), 2 * to_tensor(images).flatten(1))
    reference: Classifier = base.reference.eval()
    expected = reference.features(to_tensor(images)).detach()
    assert np.allclose(extract(extractor("reference_classifier", here), images), expected, atol=1e-6)


def test_where_no_space_is_named_the_one_that_ships_with_the_generator_is_the_headline(tmp_path) -> None:
    shipped = build("small_cnn", 6, 32, seed=3).eval()
    save(shipped, tmp_path / "feature_space")
    here = replace(sources(), generator_folder=tmp_path)
    assert default_spaces(here) == ("shipped", "clip")
    expected = shipped.features(to_tensor(IMAGES[:, :32, :32])).detach()
    assert np.allclose(extract(extractor("shipped", here), IMAGES[:, :32, :32]), expected, atol=1e-6)
    for takes_image, space in ((True, "clip"), (False, "dinov2")):
        other = SimpleNamespace(takes_image=takes_image)
        assert default_spaces(replace(sources(), generator=lambda other=other: other)) == (space,)
    with pytest.raises(InputError, match=r"no feature space lies in nowhere.feature_space.*'dinov2'"):
        extractor("shipped", sources())


def test_a_generator_without_a_clip_tower_is_one_sentence() -> None:
    class TextOnly:
        takes_image = False

        def embed(self, x: torch.Tensor) -> torch.Tensor:
            raise AssertionError

    with pytest.raises(InputError, match=r"no CLIP tower, which evaluation\.features asks for as 'clip'"):
        extractor("clip", replace(sources(), generator=TextOnly))


def test_a_space_is_chosen_by_name_and_nothing_else_is_loaded(weights) -> None:
    here = sources(dinov2=weights / "dinov2")
    assert all(callable(extractor(name, here)) for name in ("dinov2", "reference_classifier"))
    with pytest.raises(
        InputError, match="unknown feature space 'dino'; choose one of: shipped, reference_classifier, clip"
    ):
        extractor("dino", sources())


@pytest.mark.parametrize("name", sorted(set(EXTRACTORS) - {"shipped", "reference_classifier", "clip"}))
def test_missing_weights_are_one_sentence_that_says_what_to_put_where(name, tmp_path) -> None:
    with pytest.raises(InputError) as caught:
        extractor(name, sources(**{name: tmp_path / "absent"}))
    said = str(caught.value)
    assert f"{tmp_path / 'absent'} " in said and "missing" in said and f"evaluation.{name}.path" in said
    if name == "inception":
        assert "weights-inception-2015-12-05-6726825d.pth" in said
    with pytest.raises(InputError, match=f"evaluation.{name}.path says nothing"):
        extractor(name, sources())


def test_a_hub_that_cannot_be_reached_is_one_sentence_without_its_address(monkeypatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError("We couldn't connect to 'https://hub.example' to load the files.\nCheck your connection.")

    monkeypatch.setattr(CLIPVisionModelWithProjection, "from_pretrained", fails)
    with pytest.raises(InputError) as caught:
        extractor("openai_clip", sources(openai_clip="owner/name"))
    assert "'owner/name' cannot be loaded (We couldn't connect to its hub to load the files); download" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


def test_a_folder_with_another_model_or_unsafe_weights_is_refused(weights, tmp_path) -> None:
    with pytest.raises(InputError, match="holds a bert, not a dinov2"):
        extractor("dinov2", sources(dinov2=weights / "bert"))
    shutil.copytree(weights / "dinov2", tmp_path / "pickled")
    state = Dinov2Model.from_pretrained(weights / "dinov2").state_dict()
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save(state, tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"cannot be loaded .*safetensors"):
        extractor("dinov2", sources(dinov2=tmp_path / "pickled"))
    shutil.copytree(weights / "dinov2", tmp_path / "partial")
    state.pop("layernorm.weight")
    save_file(state, tmp_path / "partial" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks the weight 'layernorm\.weight'"):
        extractor("dinov2", sources(dinov2=tmp_path / "partial"))


def test_inception_weights_that_would_run_code_or_are_no_inception_are_refused(tmp_path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    buffer = io.BytesIO()
    torch.save({"conv": torch.ones(1)}, buffer)
    files = {"evil": pickle.dumps(Evil(), protocol=2), "other": buffer.getvalue(), "cut": buffer.getvalue()[:100]}
    for name, data in files.items():
        (tmp_path / f"{name}.pth").write_bytes(data)
        with pytest.raises(InputError, match="holds no Inception-v3 of torch-fidelity or pytorch-fid"):
            extractor("inception", sources(inception=tmp_path / f"{name}.pth"))
    assert not (tmp_path / "ran").exists()
