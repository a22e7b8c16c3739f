"""Group-DRO against a hand-rolled loop over the published algorithm, on one part and on two."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from src.training.losses import make_objective
from src.training.objective import Objective

from .fakes import METHOD

COUNTS, GROUPS = [70, 30], [60, 10, 5, 25]


def group_dro(groups: list[int] = GROUPS, step: float = 0.3, adjustment: float = 0.0) -> Objective:
    method = replace(METHOD, loss="group_dro", group_dro_step=step, group_dro_adjustment=adjustment)
    return make_objective(method, COUNTS, groups).double()


def batches(steps: int, size: int = 8) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for step in range(steps):
        logits = 2 * torch.randn(size, 2, generator=generator, dtype=torch.float64)
        groups = torch.randint(4 if step % 2 else 3, (size,), generator=generator)  # group 3 in every other batch
        made.append((logits.requires_grad_(), F.one_hot(groups // 2, 2).double(), groups))
    return made


@pytest.mark.parametrize("adjustment", [0.0, 1.5])
def test_losses_and_weights_follow_the_published_algorithm(adjustment: float) -> None:
    dro = group_dro(adjustment=adjustment)
    q = [0.25] * 4
    for logits, targets, groups in batches(6):
        ours = dro(logits, targets, groups=groups)
        rows: list[list[float]] = [[] for _ in range(4)]
        for z, y, g in zip(logits.tolist(), targets.argmax(1).tolist(), groups.tolist(), strict=True):
            rows[g].append(-math.log(math.exp(z[y]) / (math.exp(z[0]) + math.exp(z[1]))))
        means = [sum(row) / len(row) if row else 0.0 for row in rows]
        q = [q[g] * math.exp(0.3 * (means[g] + adjustment / math.sqrt(GROUPS[g]))) for g in range(4)]
        q = [value / sum(q) for value in q]
        assert dro.q.tolist() == pytest.approx(q)
        assert ours.item() == pytest.approx(sum(q[g] * means[g] for g in range(4)))


def test_an_absent_group_keeps_its_weight_relative_to_a_group_without_loss() -> None:
    dro = group_dro()
    certain = torch.tensor([[50.0, 0.0]], dtype=torch.float64)
    wrong = torch.tensor([[0.0, 3.0]], dtype=torch.float64)
    targets = torch.tensor([[1.0, 0.0]] * 2, dtype=torch.float64)
    dro(torch.cat([certain, wrong]), targets, groups=torch.tensor([0, 1]))
    assert dro.q[2] == dro.q[3] == pytest.approx(dro.q[0].item()) and dro.q[1] > dro.q[0]


def in_two_parts(dro: Objective, logits: torch.Tensor, targets: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """What a loop with gradient accumulation does: collect the sums, then every part; q moves with the last."""
    sums: list[torch.Tensor] = []

    def part(rows: slice, total: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        return dro(logits[rows], targets[rows], groups=groups[rows], total=total)

    halves = [slice(0, len(logits) // 2), slice(len(logits) // 2, None)]
    dro.eval()
    for rows in halves:
        part(rows, lambda x: sums.append(x) or x)
    first = part(halves[0], lambda _: torch.stack(sums).sum(0))
    dro.train()
    return (first + part(halves[1], lambda _: torch.stack(sums).sum(0))) / 2


def test_two_parts_of_a_batch_are_one_batch() -> None:
    one, two = group_dro(), group_dro()
    for logits, targets, groups in batches(5):
        whole = one(logits, targets, groups=groups)
        parts = in_two_parts(two, logits, targets, groups)
        assert torch.isclose(whole, parts) and torch.allclose(one.q, two.q)
        assert torch.allclose(*(torch.autograd.grad(loss, logits)[0] for loss in (whole, parts)))


def test_the_weights_are_state_and_move_in_training_alone() -> None:
    dro = group_dro()
    logits, targets, groups = batches(1)[0]
    dro.eval()(logits, targets, groups=groups)
    assert dro.q.tolist() == [0.25] * 4
    dro.train()(logits, targets, groups=groups)
    fresh = group_dro()
    fresh.load_state_dict(dro.state_dict())
    assert list(dro.state_dict()) == ["q"] and torch.equal(fresh.q, dro.q) and fresh.q[0] != 0.25


def test_the_worst_group_ends_with_the_most_weight() -> None:
    dro = group_dro(step=0.1)
    logits = torch.tensor([[2.0, 0], [2, 0], [2, 0], [0, 2]], dtype=torch.float64)
    for _ in range(100):
        dro(logits, torch.tensor([[1.0, 0]] * 4, dtype=torch.float64), groups=torch.arange(4))
    assert dro.q.argmax() == 3 and dro.q[3] > 0.99


def test_a_group_without_training_images_takes_no_weight_but_is_trained_on_where_it_turns_up() -> None:
    dro = group_dro([60, 10, 5, 0])
    assert dro.q[:3].tolist() == pytest.approx([1 / 3] * 3)
    logits, targets, _ = batches(1)[0]
    dro(logits, targets, groups=torch.zeros(8, dtype=torch.long))
    assert dro.q[:3].sum().item() == pytest.approx(1)
    assert dro(logits, targets, groups=torch.full((8,), 3)) > 0
