"""Classifier folders that are damaged or another's: one sentence each."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

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
