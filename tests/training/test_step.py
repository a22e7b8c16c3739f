"""One step in parts: gradients and batch-norm statistics by hand, and objectives that look at the whole batch."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from src.classifiers.models import Classifier, build
from src.training.accelerator import accelerator
from src.training.loader import Part
from src.training.losses import make_objective
from src.training.optimisation import OPTIMIZERS
from src.training.step import Step

from .fakes import METHOD, SGD

GENERATOR = torch.Generator().manual_seed(0)
X = torch.rand(8, 3, 16, 16, generator=GENERATOR) * 2 - 1
TARGETS = torch.eye(4)[torch.tensor([0, 1, 2, 3, 0, 0, 0, 1])]
GROUPS = torch.tensor([0, 1, 2, 3, 4, 0, 0, 5])
RECIPE = replace(SGD, steps=1, lr=1.0, weight_decay=0, momentum=0, schedule="constant")
OBJECTIVES = {
    "cross_entropy": METHOD,
    "weighted": replace(METHOD, weighting="class_balanced", balance_beta=0.9),
    "group_dro": replace(METHOD, loss="group_dro", group_dro_step=0.1, group_dro_adjustment=0.0),
}


def cut(count: int) -> list[Part]:
    return [Part(*rows) for rows in zip(X.chunk(count), TARGETS.chunk(count), GROUPS.chunk(count), strict=True)]


def step_on(model: Classifier, objective: nn.Module, count: int) -> Step:
    helper = accelerator(RECIPE, torch.device("cpu"))
    optimizer = OPTIMIZERS[RECIPE.optimizer](model.parameters(), RECIPE)
    return Step(model, objective.train(), helper.prepare(optimizer), helper, count)


def objective(name: str) -> nn.Module:
    return make_objective(OBJECTIVES[name], [40, 20, 5, 1], [30, 15, 4, 1, 10, 5])


def gradients(before: Classifier, after: Classifier) -> list[np.ndarray]:
    """Of plain gradient descent with a learning rate of 1."""
    return [(a - b).detach().numpy() for a, b in zip(before.parameters(), after.parameters(), strict=True)]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_without_batch_norm_any_number_of_parts_is_one_whole_batch(name: str) -> None:
    start = Classifier(
        nn.Sequential(nn.Flatten(), nn.Linear(768, 6), nn.Tanh()), 6, {"classes": 4, "image_size": 16}
    )  # fmt: skip
    results = []
    for count in (1, 2, 4):
        model, loss_of = copy.deepcopy(start), objective(name)
        losses = [step_on(model, loss_of, count)(cut(count), 0.0) for _ in range(2)]
        results.append((losses, gradients(start, model), loss_of.state_dict()))
    for losses, changes, state in results[1:]:
        assert torch.allclose(torch.stack(losses), torch.stack(results[0][0]), rtol=1e-5)
        for change, expected in zip(changes, results[0][1], strict=True):
            assert np.allclose(change, expected, atol=1e-6)
        assert all(torch.allclose(value, results[0][2][key]) for key, value in state.items())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_part_has_its_own_batch_statistics_and_the_running_ones_are_their_mean(name: str) -> None:
    start = build("small_cnn", 4, 16, seed=0)
    model = copy.deepcopy(start)
    loss = step_on(model, objective(name), 2)(cut(2), 0.0)

    twins = [copy.deepcopy(start).train() for _ in range(2)]
    logits = torch.cat([twin(part.x) for twin, part in zip(twins, cut(2), strict=True)])
    expected = objective(name).train()(logits, TARGETS, groups=GROUPS)
    expected.backward()

    assert torch.allclose(loss, expected, rtol=1e-5)
    for first, second, change in zip(*(twin.parameters() for twin in twins), gradients(start, model), strict=True):
        assert np.allclose(change, first.grad + second.grad, atol=1e-5)
    after, (one, two) = model.state_dict(), (twin.state_dict() for twin in twins)
    assert all(torch.allclose(after[k], (one[k] + two[k]) / 2, atol=1e-6) for k in after if "running" in k)
    assert {int(v) for k, v in after.items() if "num_batches" in k} == {1}


def test_a_plain_mean_is_taken_part_by_part_and_a_total_over_all_of_them_at_once() -> None:
    model = build("small_cnn", 4, 16, seed=0)
    for name, whole in [("cross_entropy", False), ("group_dro", True)]:
        step = step_on(model, objective(name), 2)
        step(cut(2), 0.0)
        assert step.whole is whole
