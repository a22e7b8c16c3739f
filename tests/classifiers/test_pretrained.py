"""Weights to start from: files and names, a final layer that is dropped when it does not fit, and what is refused."""

import argparse
import hashlib
import pickle
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file

from src.classifiers import pretrained
from src.classifiers.models import Classifier, build, save
from src.runtime.errors import InputError


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """Weights in torchvision's names, for five classes."""
    return torchvision.models.resnet18(num_classes=5).state_dict()


@pytest.mark.parametrize("form", ["w.pth", "w.safetensors", "checkpoint.pth"])
def test_a_file_with_torchvisions_names_is_taken_up_whole_where_the_classes_agree(tmp_path, published, form) -> None:
    path = tmp_path / form
    if form == "w.safetensors":
        save_file(published, path)
    elif form == "w.pth":
        torch.save(published, path)
    else:
        torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in published.items()}}, path)
    model = build("resnet18", 5, 96, seed=0, weights=str(path))
    assert torch.equal(model.backbone.layer4[1].conv2.weight, published["layer4.1.conv2.weight"])
    assert torch.equal(model.head.weight, published["fc.weight"])
    assert model.config["weights"] == form


def test_weights_below_the_home_folder_are_found(tmp_path, published, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    torch.save(published, tmp_path / "w.pth")
    assert torch.equal(build("resnet18", 5, 96, seed=0, weights="~/w.pth").head.weight, published["fc.weight"])
    assert pretrained.weights_digest("~/w.pth") == pretrained.weights_digest(str(tmp_path / "w.pth")) is not None


@pytest.mark.parametrize(("classes", "head"), [(7, "linear"), (5, "cosine")])
def test_a_final_layer_that_does_not_fit_is_dropped(tmp_path, published, classes, head) -> None:
    torch.save(published, tmp_path / "w.pth")
    model = build("resnet18", classes, 96, seed=0, head=head, weights=str(tmp_path / "w.pth"))
    fresh = build("resnet18", classes, 96, seed=0, head=head)
    assert torch.equal(model.backbone.conv1.weight, published["conv1.weight"])
    assert torch.equal(model.head.weight, fresh.head.weight)


def test_one_of_our_own_classifiers_can_be_started_from(tmp_path) -> None:
    before = build("resnet32", 4, 32, seed=1)
    save(before, tmp_path)
    model = build("resnet32", 9, 32, seed=0, weights=str(tmp_path / "model.safetensors"))
    assert torch.equal(model.backbone[0].weight, before.backbone[0].weight)


def test_a_name_of_torchvisions_is_looked_for_in_the_hub_folder_first(tmp_path, published, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.save(published, tmp_path / "checkpoints" / "resnet18-f37072fd.pth")
    model = build("resnet18", 2, 96, seed=0, weights="IMAGENET1K_V1")
    assert torch.equal(model.backbone.conv1.weight, published["conv1.weight"])


def test_without_a_download_the_file_the_folder_and_the_way_out_are_named(tmp_path, monkeypatch) -> None:
    def fail(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(InputError, match=rf"resnet18-\w+\.pth is not \(whole\) in {tmp_path}.*or set `weights`"):
        build("resnet18", 2, 96, seed=0, weights="IMAGENET1K_V1")


def test_weights_that_do_not_fit_or_are_not_there_are_refused(tmp_path, published) -> None:
    torch.save(published, tmp_path / "w.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:1000])
    (tmp_path / "cut.safetensors").write_bytes(b"1234")
    (tmp_path / "code.pth").write_bytes(pickle.dumps(print, protocol=2))
    for name, size, weights, sentence in [
        ("resnet18", 32, tmp_path / "w.pth", "do not fit resnet18 for 32 pixels .*an image size above 64"),
        ("resnet34", 96, tmp_path / "w.pth", "do not fit resnet34"),
        ("resnet18", 96, tmp_path / "none.pth", "is missing; put it there"),
        ("resnet18", 96, tmp_path / "cut.pth", "holds no intact weights"),
        ("resnet18", 96, tmp_path / "cut.safetensors", "holds no intact weights"),
        ("resnet18", 96, tmp_path / "code.pth", "holds no intact weights"),
        ("resnet18", 96, "IMAGENET9", "unknown weights 'IMAGENET9'; choose one of: IMAGENET1K_V1"),
        ("small_cnn", 32, "IMAGENET1K_V1", "torchvision has no weights for small_cnn"),
    ]:
        with pytest.raises(InputError, match=sentence):
            build(name, 5, size, seed=0, weights=str(weights))


def test_what_a_resumed_run_started_from_is_told_by_the_contents_of_its_weights_file(tmp_path) -> None:
    path = tmp_path / "my.pth"
    path.write_bytes(b"one")
    assert pretrained.weights_digest(str(path)) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"two")
    assert pretrained.weights_digest(str(path)) == hashlib.sha256(b"two").hexdigest()


def test_without_a_weights_file_there_is_no_digest(tmp_path, monkeypatch) -> None:
    """A name of torchvision's stays one beside a file of that name, which `load_pretrained` does not read either."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "IMAGENET1K_V1").write_bytes(b"one")
    (tmp_path / "folder.pth").mkdir()
    for weights in (None, "", "IMAGENET1K_V1", "none.pth", "folder.pth"):
        assert pretrained.weights_digest(weights) is None


def test_positions_of_a_transformer_are_interpolated_to_another_image_size() -> None:
    own = {"encoder.pos_embedding": torch.zeros(1, 1 + 4**2, 8)}
    backbone = SimpleNamespace(image_size=64, patch_size=16, state_dict=lambda: own)
    tensors = {"backbone.encoder.pos_embedding": torch.ones(1, 1 + 2**2, 8)}
    pretrained._interpolate_positions(backbone, tensors)
    assert torch.allclose(tensors["backbone.encoder.pos_embedding"], torch.ones(1, 17, 8))


def test_a_transformer_of_another_image_size_keeps_its_weights_and_its_positions_are_resized(tmp_path) -> None:
    """From 4 x 4 to 6 x 6 patches; the class token's position is no place in the image."""
    sizes = {"patch_size": 16, "num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16, "num_classes": 5}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        given, backbone = (torchvision.models.VisionTransformer(size, **sizes) for size in (64, 96))
        for weights in given.parameters():
            torch.nn.init.normal_(weights)
    backbone.heads = torch.nn.Identity()
    model = Classifier(backbone, 8, {"name": "vit_b_16", "classes": 5, "image_size": 96})
    torch.save(given.state_dict(), tmp_path / "w.pth")
    pretrained.load_pretrained(model, str(tmp_path / "w.pth"))
    assert torch.equal(model.head.weight, given.heads.head.weight)
    assert torch.equal(model.head.bias, given.heads.head.bias)
    assert torch.equal(backbone.conv_proj.weight, given.conv_proj.weight)
    before, after = given.encoder.pos_embedding[0], backbone.encoder.pos_embedding[0]
    assert after.shape == (1 + 36, 8) and torch.equal(after[0], before[0])
    grid = before[1:].T.reshape(1, 8, 4, 4)
    resized = F.interpolate(grid, (6, 6), mode="bicubic", align_corners=True)[0]
    assert torch.allclose(after[1:].T.reshape(8, 6, 6), resized, atol=1e-6)
    assert torch.allclose(after[[1, 6, 31, 36]], before[[1, 4, 13, 16]], atol=1e-6)  # corners stay


@pytest.mark.parametrize("prefix", ["_orig_mod.", "_orig_mod.module.", "module._orig_mod."])
def test_weights_of_a_compiled_model_are_taken(tmp_path, published, prefix: str) -> None:
    torch.save({f"{prefix}{key}": value for key, value in published.items()}, tmp_path / "w.pth")
    model = build("resnet18", 2, 96, seed=0, weights=str(tmp_path / "w.pth"))
    assert torch.equal(model.backbone.conv1.weight, published["conv1.weight"])


def test_an_intact_file_with_more_than_weights_is_not_called_damaged(tmp_path, published) -> None:
    torch.save({"model": published, "args": argparse.Namespace(lr=0.1)}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"also a argparse\.Namespace.*save its weights alone"):
        build("resnet18", 2, 96, seed=0, weights=str(tmp_path / "w.pth"))
