"""The training loop: it learns, repeats itself, resumes as if never stopped, and keeps the best weights."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from src.classifiers.models import build
from src.data.labelled_images import LabelledImages
from src.evaluation.accuracy import macro_accuracy, predict
from src.runtime.errors import InputError
from src.runtime.scratch import Scratch
from src.settings.recipe import Recipe
from src.settings.sections import MethodSettings
from src.shards.lazy_images import Images
from src.training.loader import Batches
from src.training.loop import fit
from src.training.losses import make_objective
from src.training.objective import Objective
from src.training.optimisation import learning_rate
from src.training.samplers import class_uniform

from .fakes import METHOD, RECIPE, corners, labelled_corners

TRAIN, VALIDATION = corners(32, seed=0), labelled_corners(16, seed=1)
GROUPS = np.arange(32) % 4 * 2 + np.arange(32) % 3 // 2
EVERYTHING = replace(RECIPE, label_smoothing=0.1, augment="standard", parts=2, ema=0.5)
SGD = replace(RECIPE, optimizer="sgd")
BALANCED = replace(METHOD, loss="balanced_softmax")
GROUP_DRO = replace(METHOD, loss="group_dro", group_dro_step=0.1, group_dro_adjustment=0)


def train(
    recipe: Recipe = RECIPE, sampler=None, scratch: Scratch | None = None, seed: int = 0,
    method: MethodSettings = METHOD, images: Images = TRAIN[0], counts: Sequence[int] = (8, 8, 8, 8),
    validation: LabelledImages = VALIDATION, **mixing: Any,
):  # fmt: skip
    sampler = sampler or class_uniform(TRAIN[1], recipe.batch, seed)
    data = LabelledImages(images, TRAIN[1], GROUPS)
    batches = Batches(data, 4, 16, sampler, recipe, seed, torch.device("cpu"), **mixing)
    objective = make_objective(method, counts, [4] * 8)
    return fit(build("small_cnn", 4, 16, seed), batches, validation, objective, scratch, "test")


def weights(model) -> dict[str, bytes]:
    return {name: value.contiguous().numpy().tobytes() for name, value in model.state_dict().items()}


def killed_at(step: int) -> Callable[[int], np.ndarray]:
    healthy = class_uniform(TRAIN[1], RECIPE.batch, seed=0)

    def sample(now: int) -> np.ndarray:
        if now == step:
            raise KeyboardInterrupt
        return healthy(now)

    return sample


@pytest.fixture
def always_equal(monkeypatch) -> None:
    """All weights validate the same, so the last ones are kept."""
    monkeypatch.setattr("src.training.loop.macro_accuracy", lambda *_: 0.5)


def test_a_few_steps_learn_an_easy_task() -> None:
    model, curve = train()
    assert macro_accuracy(predict(model, VALIDATION.images), VALIDATION.labels) > 0.9
    assert [row["step"] for row in curve] == list(range(2, 21, 2))
    assert curve[-1]["epoch"] == 5 and curve[-1]["loss"] < curve[0]["loss"]
    assert list(curve[0]) == ["step", "epoch", "loss", "learning_rate", "accuracy"]
    assert not model.training


def test_the_same_seed_gives_the_same_bytes() -> None:
    settings = {"method": BALANCED, "mixing": ("cutmix", 0.2)}
    runs = [train(EVERYTHING, seed=seed, **settings) for seed in (0, 0, 1)]
    (one, curve), (same, curve_again), (other, _) = runs
    assert weights(one) == weights(same) and curve == curve_again
    assert weights(one) != weights(other)


def test_a_length_in_epochs_is_the_same_length_in_steps() -> None:
    in_epochs = replace(RECIPE, steps=None, epochs=5, warmup=0.5)
    assert weights(train(in_epochs)[0]) == weights(train()[0])


def test_a_longer_recipe_is_the_same_schedule_stretched() -> None:
    assert RECIPE.longer(1) is RECIPE
    stepped = replace(SGD, steps=40, warmup=4, schedule="step", milestones=(20, 30), factors=(0.1, 0.01))
    longer = stepped.longer(2)
    assert longer == replace(stepped, steps=80, warmup=8, milestones=(40, 60))
    epochs = replace(stepped, steps=None, epochs=40)
    assert epochs.longer(0.5) == replace(epochs, epochs=20, warmup=2, milestones=(10, 15))
    assert all(learning_rate(stepped, k) == learning_rate(longer, 2 * k) for k in range(4, 40))


def test_a_recipe_that_is_sound_stays_so_however_its_length_is_rounded():
    stable = replace(RECIPE, schedule="warmup_stable_decay", steps=100, decay=0.2, warmup=80)
    assert stable.longer(0.51) == replace(stable, steps=51, warmup=40)
    stepped = replace(SGD, steps=200, schedule="step", milestones=(160, 161), factors=(0.1, 0.01))
    assert stepped.longer(0.25).milestones == (40, 41)
    short = replace(stable, steps=None, epochs=3, decay=0.5, warmup=1.5)
    assert short.in_steps(short.batch).warmup == 1


@pytest.mark.parametrize(
    ("recipe", "more"),
    [
        (EVERYTHING, {"method": BALANCED, "mixing": ("cutmix", 0.2)}),
        (SGD, {"method": GROUP_DRO}),
        (replace(SGD, momentum=0), {}),
    ],
)
def test_stopped_and_resumed_is_uninterrupted(tmp_path, monkeypatch, recipe, more) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    whole, curve = train(recipe, **more)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, sampler=killed_at(13), scratch=Scratch("train", {}), **more)
    resumed, curve_again = train(recipe, sampler=killed_at(11), scratch=Scratch("train", {}), **more)
    assert weights(resumed) == weights(whole) and curve_again == curve


def test_the_best_weights_are_kept_across_an_interruption(tmp_path, monkeypatch) -> None:
    """The second check is the best; the kill comes after the sixth."""
    scores = [0.2, 0.9, *[0.1] * 8]
    given = iter(scores * 2)
    monkeypatch.setattr("src.training.loop.macro_accuracy", lambda *_: next(given))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    whole, curve = train()
    with pytest.raises(KeyboardInterrupt):
        train(sampler=killed_at(13), scratch=Scratch("train", {}))
    resumed, curve_again = train(sampler=killed_at(11), scratch=Scratch("train", {}))
    assert weights(resumed) == weights(whole) and curve_again == curve
    assert [row["accuracy"] for row in curve] == scores


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


@pytest.mark.parametrize("selection", ["worst_group", "overall"])
def test_the_selection_decides_which_weights_are_kept(monkeypatch, selection) -> None:
    """The second of three checks is right about class 0 alone, which is the worst group and most of the images."""
    labels = np.array([0, 0, 0, 1])
    answers = {"worst_group": [[1, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]], "overall": [[1] * 4, [0] * 4, [0, 1, 1, 1]]}
    given = iter(np.eye(4)[row] for row in answers[selection])
    monkeypatch.setattr("src.training.loop.predict", lambda *_: next(given))
    monkeypatch.setattr("src.training.loop.CHECKS", 3)
    recipe = replace(RECIPE, schedule="constant", steps=6, warmup=2)
    validation = LabelledImages(VALIDATION.images[:4], labels, np.array([0, 0, 0, 3]))
    best, curve = train(replace(recipe, selection=selection), validation=validation)
    column = [row[selection] for row in curve]
    assert np.argmax(column) == 1 and column == {"worst_group": [0, 1, 0], "overall": [0.25, 0.75, 0.5]}[selection]
    monkeypatch.undo()
    monkeypatch.setattr("src.training.loop.macro_accuracy", lambda *_: 0.5)
    assert weights(best) == weights(train(replace(recipe, steps=4))[0])


def test_ema_keeps_the_averaged_weights(always_equal) -> None:
    recipe = replace(SGD, schedule="constant", warmup=0, ema=0.75)
    trajectory = [train(replace(recipe, ema=0, steps=steps))[0].state_dict() for steps in (1, 2, 3)]
    average, _ = train(replace(recipe, steps=3))
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            first, second, third = (state[name] for state in trajectory)
            by_hand = 0.75 * (0.75 * first + 0.25 * second) + 0.25 * third
            assert torch.allclose(value, by_hand, atol=1e-6), name


@pytest.mark.parametrize("parts", [1, 2])
def test_deferred_weights_hold_from_their_share_of_the_training_on(always_equal, parts) -> None:
    def weighted(weighting: str, drw_from: float = 0.0) -> tuple[dict[str, bytes], list[float]]:
        method = replace(METHOD, weighting=weighting, balance_beta=0.9, drw_from=drw_from)
        recipe = replace(SGD, schedule="constant", warmup=0, parts=parts)
        model, curve = train(recipe, method=method, counts=[40, 20, 5, 1])
        return weights(model), [row["loss"] for row in curve]

    plain, balanced = weighted("none"), weighted("class_balanced")
    assert weighted("drw", 0.0) == balanced and balanced[0] != plain[0]
    assert weighted("drw", 1.0) == plain
    _, losses = weighted("drw", 0.5)
    assert losses[:5] == plain[1][:5]
    assert all(ours != theirs for ours, theirs in zip(losses[5:], plain[1][5:], strict=True))


def test_bfloat16_trains_near_to_float32_and_keeps_its_weights_in_float32(always_equal) -> None:
    (full, curve), (half, half_curve) = (train(replace(SGD, precision=p)) for p in ("float32", "bfloat16"))
    assert {value.dtype for value in half.parameters()} == {torch.float32}
    assert weights(half) != weights(full)
    assert half_curve[-1]["loss"] == pytest.approx(curve[-1]["loss"], abs=0.05)
    distance = sum((a - b).norm() ** 2 for a, b in zip(full.parameters(), half.parameters(), strict=True)) ** 0.5
    length = sum(a.norm() ** 2 for a in full.parameters()) ** 0.5
    assert distance < 0.05 * length


def test_images_that_are_read_on_demand_give_the_same_weights() -> None:
    class Lazy:
        shape = TRAIN[0].shape

        def __len__(self) -> int:
            return len(TRAIN[0])

        def __getitem__(self, key: Any) -> np.ndarray:
            return TRAIN[0][key]

    assert weights(train(images=Lazy())[0]) == weights(train()[0])


def test_the_second_batch_of_cmo_is_what_its_sampler_says(always_equal) -> None:
    common = {"mixing": ("cmo", 1.0)}
    tail = train(mixing_sampler=lambda step: np.full(8, 3), **common)[0]
    other = train(mixing_sampler=lambda step: np.full(8, 2), **common)[0]
    assert weights(tail) != weights(other)
    with pytest.raises(InputError, match="takes a second batch"):
        train(**common)


def test_a_launchers_first_process_trains_alone_where_the_others_have_left(monkeypatch) -> None:
    expected = weights(train()[0])
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "4", "PMI_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert weights(train()[0]) == expected


@pytest.mark.parametrize(
    ("recipe", "more", "sentence"),
    [
        (replace(SGD, lr=1e29, warmup=0), {}, r"not finite at step .*; lower the learning rate"),
        (replace(RECIPE, precision="float16"), {}, "float16 needs a GPU"),
        (replace(RECIPE, selection="worst_group"), {}, "worst_group needs groups"),
        (replace(RECIPE, selection="best"), {}, "unknown selection 'best'; choose one of: macro, worst_group, overall"),
        (RECIPE, {"mixing": ("blend", 0.2)}, "unknown mixing 'blend'"),
    ],
)
def test_what_cannot_be_trained_is_refused(recipe, more, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        train(recipe, **more)


@pytest.mark.parametrize("before", [False, True])
def test_algorithms_are_deterministic_during_training_and_as_before_afterwards(monkeypatch, before) -> None:
    during, forward = [], Objective.forward

    def noting(*values: Any, **named: Any) -> torch.Tensor:
        during.append(
            (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
        )
        return forward(*values, **named)

    monkeypatch.setattr(Objective, "forward", noting)
    torch.use_deterministic_algorithms(before)
    try:
        train(replace(RECIPE, steps=2))
        assert during == [(True, True)] * 2
        assert torch.are_deterministic_algorithms_enabled() == before
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
