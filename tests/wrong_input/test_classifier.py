"""Classifier folders and pre-trained weights that are damaged or another's: one sentence each."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file

from src.classifiers.models import build
from tests.micro import set_parameters
from tests.wrong_input.running import cut_in_half, edit, stopped

pytestmark = pytest.mark.slow
CONFIG, WEIGHTS = "data/base/config.json", "data/base/model.safetensors"
BROKEN = "data/base holds no intact classifier"


def configured(**changes: Any) -> Callable[[], None]:
    return lambda: edit(CONFIG, lambda data: json.dumps({**json.loads(data), **changes}).encode())


def written(path: str, content: bytes) -> Callable[[], None]:
    return lambda: edit(path, lambda data: content)


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[], None]:
    def spoil() -> None:
        held = load_file(WEIGHTS)
        change(held)
        Path(WEIGHTS).unlink()
        save_file(held, WEIGHTS)

    return spoil


DAMAGE: dict[str, tuple[Callable[[], object], str]] = {
    "no settings": (Path(CONFIG).unlink, f"{CONFIG} is missing"),
    "broken settings": (lambda: cut_in_half(CONFIG), f"{CONFIG} is not valid JSON"),
    "a list for settings": (written(CONFIG, b"[]"), BROKEN),
    "no settings in it": (written(CONFIG, b"{}"), BROKEN),
    "another model": (configured(name="timm_vit"), "unknown model 'timm_vit'"),
    "a model's name in a list": (configured(name=["small_cnn"]), BROKEN),
    "classes as text": (configured(classes="10"), "(its classes is '10')"),
    "one class": (configured(classes=1), "a classifier needs at least two classes, not 1"),
    "a class too many": (configured(classes=11), "its weight 'head.weight' has another size"),
    "a billion classes": (configured(classes=10**9), "its weight 'head.weight' has another size"),
    "endless images": (configured(image_size=8 * 10**6), "sees images of 1 to 4096 pixels"),
    "images of no size": (configured(image_size=-32), "(its image_size is -32)"),
    "another normalisation": (configured(normalisation="mnist"), "unknown normalisation 'mnist'"),
    "another head": (configured(head="round"), "unknown head 'round'"),
    "no weights": (Path(WEIGHTS).unlink, f"{WEIGHTS} is missing"),
    "weights without bytes": (written(WEIGHTS, b""), BROKEN),
    "pickled weights": (written(WEIGHTS, pickle.dumps({"head.weight": [0.0]})), BROKEN),
    "a weight lost": (tensors(lambda held: held.pop("head.bias")), "it lacks the weight 'head.bias'"),
    "a weight too many": (tensors(lambda held: held.update(more=torch.zeros(1))), BROKEN),
    "no number": (tensors(lambda held: held["head.bias"].fill_(torch.nan)), "'head.bias' holds NaN or infinity"),
    "half precision": (
        tensors(lambda held: held.update({"head.bias": held["head.bias"].half()})),
        "'head.bias' has another size or number format",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_classifier_that_cannot_be_used_is_one_sentence_and_touches_nothing(damage, workspace, capsys, monkeypatch):
    spoil, sentence = DAMAGE[damage]
    spoil()
    assert sentence in stopped("eval_acc", capsys, monkeypatch)


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return __import__("os").mkdir, ("was_run",)


STARTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (lambda path: path.write_bytes(b"PK\3\4" + bytes(99)), "holds no intact weights; get the file again"),
    "a program": (lambda path: path.write_bytes(pickle.dumps(Code())), "holds no intact weights; get the file again"),
    "a list": (lambda path: torch.save([1, 2], path), "holds no intact weights; get the file again"),
    "numbers for weights": (lambda path: torch.save({"epoch": 3}, path), "hold more than tensors by name"),
    "another model": (
        lambda path: torch.save(build("resnet32", 10, 32, 0).state_dict(), path),
        "do not fit small_cnn for 32 pixels",
    ),
}


@pytest.mark.parametrize("start", STARTS)
def test_weights_to_start_from_that_cannot_serve_are_one_sentence(start, workspace, capsys, monkeypatch):
    write, sentence = STARTS[start]
    write(Path("start.pth"))
    set_parameters(workspace, {"recipes.digits.weights": "start.pth"})
    assert sentence in stopped("train_base", capsys, monkeypatch)
    assert not Path("was_run").exists()


def test_published_weights_that_cannot_be_downloaded_are_one_sentence(workspace, capsys, monkeypatch):
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", offline)
    set_parameters(workspace, {"recipes.digits.model": "resnet18", "recipes.digits.weights": "IMAGENET1K_V1"})
    line = stopped("train_base", capsys, monkeypatch)
    assert "the weights IMAGENET1K_V1 of resnet18 cannot be had" in line and "set `weights` to the path of a" in line
    set_parameters(workspace, {"recipes.digits.weights": "IMAGENET22K"})
    assert "unknown weights 'IMAGENET22K'; choose one of: IMAGENET1K_V1" in stopped("train_base", capsys, monkeypatch)
