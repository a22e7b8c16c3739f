"""Classifiers: the feature/head split, weights from the seed alone, files that read back or say why not."""

import re

import pytest
import torch

from src.errors import InputError
from src.training.models import MODELS, Classifier, build, load, save


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_the_head_of_the_features(name: str) -> None:
    model = build(name, classes=7, image_size=32, seed=0).eval()
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    assert model.features(x).shape == (2, model.head.in_features)
    assert torch.equal(model(x), model.head(model.features(x)))
    assert model(x).shape == (2, 7)


def test_the_seed_decides_the_weights_and_the_global_state_is_left_alone() -> None:
    state = torch.get_rng_state()
    first, same, other = (build("small_cnn", 10, 32, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert torch.equal(state, torch.get_rng_state())


def test_small_images_keep_their_resolution_in_a_resnet() -> None:
    assert build("resnet18", 2, 32, seed=0).backbone.conv1.stride == (1, 1)
    assert build("resnet18", 2, 224, seed=0).backbone.conv1.stride == (2, 2)


def test_the_image_can_be_moved_by_the_gradient_of_a_frozen_classifier() -> None:
    model = build("small_cnn", 10, 32, seed=0).eval().requires_grad_(False)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x).log_softmax(1)[:, 0].sum(), x)
    assert gradient.abs().amax((1, 2, 3)).min() > 0


def test_a_saved_classifier_reads_back_bit_for_bit(tmp_path) -> None:
    model = build("small_cnn", 5, 16, seed=3).eval()
    save(model, tmp_path)
    again = load(tmp_path)
    x = torch.rand(4, 3, 16, 16)
    assert isinstance(again, Classifier) and not again.training
    assert torch.equal(model(x), again(x))


@pytest.mark.parametrize("damage", ["truncated", "other shape", "no key", "missing"])
def test_a_damaged_classifier_is_refused_in_one_sentence(tmp_path, damage: str) -> None:
    save(build("small_cnn", 5, 16, seed=3), tmp_path)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "other shape":
        config.write_text(config.read_text().replace("5", "6"))
    elif damage == "no key":
        config.write_text("{}")
    else:
        weights.unlink()
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        load(tmp_path)


def test_impossible_models_are_refused() -> None:
    with pytest.raises(InputError, match="unknown model 'vgg'; choose one of: small_cnn, resnet18, resnet50"):
        build("vgg", 10, 32, seed=0)
    with pytest.raises(InputError, match="divisible by 8, not 30"):
        build("small_cnn", 10, 30, seed=0)
    with pytest.raises(InputError, match="at least two classes"):
        build("small_cnn", 1, 32, seed=0)
