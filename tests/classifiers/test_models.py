"""Classifiers: the feature/head split, published shapes, what images are seen, files that read back or say why not."""

import re

import pytest
import torch
import torch.nn.functional as F
from torchvision.models import ResNet18_Weights

from src.classifiers.architectures import MODELS, STATISTICS
from src.classifiers.heads import COSINE_SCALE
from src.classifiers.models import Classifier, build, load, save
from src.runtime.errors import InputError

SMALL = ("small_cnn", "resnet32", "resnet18")


@pytest.mark.parametrize("head", ["linear", "cosine"])
@pytest.mark.parametrize("name", SMALL)
def test_logits_are_the_head_of_the_features(name: str, head: str) -> None:
    model = build(name, classes=7, image_size=32, seed=0, head=head).eval()
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    assert model.features(x).shape == (2, model.head.in_features)
    assert torch.equal(model(x), model.head(model.features(x)))
    assert model(x).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "millions"),  # as torchvision documents them, for 1000 classes
    [("resnet18", 11.69), ("resnet50", 25.56), ("resnet152", 60.19), ("resnext50_32x4d", 25.03), ("vit_b_16", 86.57)],
)
def test_torchvisions_models_are_built_by_name(name: str, millions: float) -> None:
    with torch.device("meta"):
        model = build(name, 1000, 224, seed=0)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)
    assert model.head.out_features == 1000 and model.config["normalisation"] == "imagenet"


def test_a_vision_transformer_classifies_images_of_the_size_it_is_built_for() -> None:
    model = build("vit_b_16", 3, 32, seed=0).eval()
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 3)
    assert model.backbone.encoder.pos_embedding.shape[1] == 1 + (32 // 16) ** 2


def test_resnet32_is_as_published() -> None:
    """He et al., section 4.2: 0.46 million parameters; maps of 32, 16 and 8 pixels with 16, 32 and 64 channels."""
    model = build("resnet32", 10, 32, seed=0).eval()
    assert sum(p.numel() for p in model.parameters()) == 464_154
    shapes: list[tuple[int, ...]] = []
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda m, x, y: shapes.append(tuple(y.shape[1:])))
    model(torch.zeros(1, 3, 32, 32))
    assert shapes == [(16, 32, 32)] * 11 + [(32, 16, 16)] * 10 + [(64, 8, 8)] * 10


def test_resnet32s_shortcut_has_no_parameters_and_pads_with_zeros() -> None:
    block = build("resnet32", 10, 32, seed=0).eval().backbone[8]
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 16, 8, 8)
    y = block(x)
    assert torch.equal(y[:, :16], x[:, :, ::2, ::2]) and not y[:, 16:].any()


def test_the_seed_decides_the_weights_and_the_global_state_is_left_alone() -> None:
    state = torch.get_rng_state()
    first, same, other = (build("small_cnn", 10, 32, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert torch.equal(state, torch.get_rng_state())


def test_the_default_model_keeps_its_weights_and_its_config() -> None:
    model = build("small_cnn", 10, 32, seed=0)
    assert model.config == {"name": "small_cnn", "classes": 10, "image_size": 32}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = torch.nn.Conv2d(3, 16, 5, 2, 2, bias=False)
    assert torch.equal(model.backbone[0].weight, first.weight)


def test_small_images_keep_their_resolution_in_a_resnet() -> None:
    assert build("resnet18", 2, 32, seed=0).backbone.conv1.stride == (1, 1)
    assert build("resnet18", 2, 224, seed=0).backbone.conv1.stride == (2, 2)


def test_the_cosine_head_sees_directions_alone() -> None:
    head = build("small_cnn", 5, 16, seed=0, head="cosine").head
    x = torch.randn(3, 64)
    expected = COSINE_SCALE * F.cosine_similarity(x[:, None], head.weight[None], dim=-1)
    assert torch.allclose(head(x), expected, atol=1e-4)
    assert torch.allclose(head(7 * x), head(x), atol=1e-4)
    assert head.bias is None and torch.allclose(head.weight.norm(dim=1), torch.ones(5))


def test_the_statistics_are_torchvisions_and_those_of_the_ldam_protocol() -> None:
    published = ResNet18_Weights.IMAGENET1K_V1.transforms()
    assert STATISTICS["imagenet"] == (tuple(published.mean), tuple(published.std))
    assert STATISTICS["cifar"] == ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


@pytest.mark.parametrize(("name", "statistics"), [("resnet18", "imagenet"), ("resnet32", "cifar")])
def test_the_backbone_sees_images_normalised_as_its_recipe_was(name: str, statistics: str) -> None:
    model = build(name, 2, 32, seed=0)
    model.backbone = torch.nn.Identity()
    x = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():  # the constants made here must serve gradients below
        model.features(x)
    expected = torch.stack([(image - torch.tensor(m).view(3, 1, 1)) / torch.tensor(s).view(3, 1, 1)
                            for m, s in [STATISTICS[statistics]] for image in x])  # fmt: skip
    images = (2 * x - 1).requires_grad_()
    assert torch.allclose(model.features(images), expected, atol=1e-5)
    assert torch.autograd.grad(model.features(images).sum(), images)[0].min() > 0
    assert "normalisation" not in "".join(model.state_dict())


def test_of_larger_images_the_centre_is_seen() -> None:
    model = build("small_cnn", 3, 24, seed=0).eval()
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(model(x), model(x[..., 4:28, 4:28]))


def test_the_image_can_be_moved_by_the_gradient_of_a_frozen_classifier() -> None:
    model = build("small_cnn", 10, 32, seed=0).eval().requires_grad_(False)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x).log_softmax(1)[:, 0].sum(), x)
    assert gradient.abs().amax((1, 2, 3)).min() > 0


@pytest.mark.parametrize(("name", "head"), [("small_cnn", "linear"), ("resnet32", "cosine")])
def test_a_saved_classifier_reads_back_bit_for_bit(tmp_path, name: str, head: str) -> None:
    model = build(name, 5, 16, seed=3, head=head).eval()
    save(model, tmp_path)
    again = load(tmp_path)
    x = torch.rand(4, 3, 16, 16)
    assert isinstance(again, Classifier) and not again.training and again.config == model.config
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
    for name, classes, size, head, sentence in [
        ("vgg", 10, 32, "linear", f"unknown model 'vgg'; choose one of: {', '.join(MODELS)}"),
        ("small_cnn", 10, 30, "linear", "divisible by 8, not 30"),
        ("vit_b_16", 10, 40, "linear", "divisible by 16, not 40"),
        ("small_cnn", 1, 32, "linear", "at least two classes"),
        ("small_cnn", 10, 32, "mlp", "unknown head 'mlp'; choose one of: linear, cosine"),
    ]:
        with pytest.raises(InputError, match=sentence):
            build(name, classes, size, seed=0, head=head)
