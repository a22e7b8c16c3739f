"""The training loop: it learns, repeats itself, resumes as if never stopped, and keeps the best weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from src.errors import InputError
from src.evaluation.accuracy import macro_accuracy, predict
from src.scratch import Scratch
from src.training.loop import fit
from src.training.losses import log_prior
from src.training.models import build
from src.training.recipe import Recipe
from src.training.samplers import class_uniform

from .fakes import RECIPE, corners

TRAIN, VALIDATION = corners(32, seed=0), corners(16, seed=1)
EVERYTHING = replace(RECIPE, loss="balanced_softmax", label_smoothing=0.1, mixing="cutmix", augment="standard")


def train(recipe: Recipe = RECIPE, sampler=None, scratch: Scratch | None = None, seed: int = 0):
    sampler = sampler or class_uniform(TRAIN[1], recipe.batch, seed)
    model, prior = build("small_cnn", 4, 16, seed), log_prior([8, 8, 8, 8])
    return fit(model, *TRAIN, sampler, recipe, VALIDATION, prior, seed, scratch, "test")


def weights(model) -> dict[str, bytes]:
    return {name: value.contiguous().numpy().tobytes() for name, value in model.state_dict().items()}


def killed_at(step: int):
    healthy = class_uniform(TRAIN[1], RECIPE.batch, seed=0)

    def sample(now: int) -> np.ndarray:
        if now == step:
            raise KeyboardInterrupt
        return healthy(now)

    return sample


def test_a_few_steps_learn_an_easy_task() -> None:
    model, curve = train()
    assert macro_accuracy(predict(model, VALIDATION[0]), VALIDATION[1]) > 0.9
    assert [row["step"] for row in curve] == list(range(2, 21, 2))
    assert curve[-1]["epoch"] == 5 and curve[-1]["loss"] < curve[0]["loss"]
    assert not model.training


def test_the_same_seed_gives_the_same_bytes() -> None:
    (one, curve), (same, curve_again), (other, _) = (train(EVERYTHING, seed=seed) for seed in (0, 0, 1))
    assert weights(one) == weights(same) and curve == curve_again
    assert weights(one) != weights(other)


@pytest.mark.parametrize(
    "recipe", [EVERYTHING, replace(RECIPE, optimizer="sgd"), replace(RECIPE, optimizer="sgd", momentum=0)]
)
def test_killed_and_resumed_is_uninterrupted(tmp_path, monkeypatch, recipe) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    whole, curve = train(recipe)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, sampler=killed_at(13), scratch=Scratch("train", {}))
    resumed, curve_again = train(recipe, sampler=killed_at(11), scratch=Scratch("train", {}))
    assert weights(resumed) == weights(whole) and curve_again == curve


def test_a_damaged_checkpoint_only_costs_time(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    whole, _ = train(scratch=Scratch("train", {}))
    checkpoint = Scratch("train", {}).path / "training.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    assert weights(train(scratch=Scratch("train", {}))[0]) == weights(whole)


def test_the_weights_that_validate_best_are_kept(monkeypatch) -> None:
    scores = iter([0.2, 0.7, 0.7, 0.1, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3])
    monkeypatch.setattr("src.training.loop.macro_accuracy", lambda *_: next(scores))
    best, _ = train(replace(RECIPE, schedule="constant"))
    monkeypatch.setattr("src.training.loop.macro_accuracy", lambda *_: 0.5)
    third_check, _ = train(replace(RECIPE, schedule="constant", steps=6, warmup=2))
    assert weights(best) == weights(third_check)


def test_a_diverging_run_stops_with_advice() -> None:
    with pytest.raises(InputError, match=r"not finite at step .*; lower the learning rate"):
        train(replace(RECIPE, lr=1e30, optimizer="sgd", warmup=0))


def test_the_setting_of_deterministic_algorithms_is_restored() -> None:
    train(replace(RECIPE, steps=2))
    assert not torch.are_deterministic_algorithms_enabled()
