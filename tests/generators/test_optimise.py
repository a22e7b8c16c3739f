"""The generator's training loop: a killed run that is resumed ends where an uninterrupted one does."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from src.generators.tiny import optimise as loop
from src.generators.tiny.optimise import learning_rate, optimise
from src.runtime.errors import InputError
from src.runtime.seeds import torch_generator
from src.settings.sections import TrainingLength

LENGTH = TrainingLength(steps=11, batch=8, lr=0.01)


@pytest.fixture(autouse=True)
def frequent_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", 3)


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))


def train(model: nn.Module, checkpoint: Path, length: TrainingLength, kill_at: int | None = None) -> list[int]:
    """Fit the sum of the inputs; returns the steps that were run."""
    asked = []

    def loss_at(step: int) -> Tensor:
        if step == kill_at:
            raise KeyboardInterrupt
        asked.append(step)
        x = torch.randn(length.batch, 4, generator=torch_generator("test", step))
        return (model(x)[:, 0] - x.sum(1)).square().mean()

    optimise([model], loss_at, length, checkpoint, "test")
    return asked


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("kill_at", [1, 7, 9])
def test_killed_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path: Path, kill_at: int, ema: float) -> None:
    length = TrainingLength(steps=11, batch=8, lr=0.01, ema=ema)
    whole, killed, resumed = network(), network(), network()
    assert train(whole, tmp_path / "whole", length) == list(range(11))
    with pytest.raises(KeyboardInterrupt):
        train(killed, tmp_path / "killed", length, kill_at)
    assert train(resumed, tmp_path / "killed", length) == list(range(kill_at // 3 * 3, 11))
    expected, found = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "killed").read_bytes()


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_finished_run_is_not_run_again(tmp_path: Path, ema: float) -> None:
    length = TrainingLength(steps=11, batch=8, lr=0.01, ema=ema)
    first, again = network(), network()
    train(first, tmp_path / "checkpoint", length)
    assert train(again, tmp_path / "checkpoint", length) == []
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_a_damaged_checkpoint_means_starting_over(tmp_path: Path) -> None:
    whole, restarted = network(), network()
    train(whole, tmp_path / "checkpoint", LENGTH)
    content = (tmp_path / "checkpoint").read_bytes()
    (tmp_path / "checkpoint").write_bytes(content[: len(content) // 2])
    assert train(restarted, tmp_path / "checkpoint", LENGTH) == list(range(11))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), restarted.parameters(), strict=True))


def test_training_lowers_the_loss_and_leaves_the_network_frozen(tmp_path: Path) -> None:
    model, x = network(), torch.randn(64, 4, generator=torch_generator("test"))
    before = (model.eval()(x)[:, 0] - x.sum(1)).square().mean()
    train(model, tmp_path / "checkpoint", TrainingLength(steps=200, batch=32, lr=0.02))
    assert (model(x)[:, 0] - x.sum(1)).square().mean() < 0.3 * before
    assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_the_average_of_the_weights_forgets_the_start_at_first_and_then_as_slowly_as_asked(tmp_path: Path) -> None:
    """Decays 1/10, 2/11, ..., 8/17, then 1/2, by hand along the weights of a run that keeps its last ones."""
    last, averaged = network(), network()
    seen: list[list[Tensor]] = []

    def snapshot(*_: object) -> None:
        seen.append([p.detach().clone() for p in last.parameters()])

    last.register_forward_pre_hook(snapshot)
    train(last, tmp_path / "last", LENGTH)
    snapshot()
    by_hand = seen[0]
    for step, weights in enumerate(seen[1:]):
        decay = (step + 1) / (step + 10) if step < 8 else 0.5
        by_hand = [decay * mean + (1 - decay) * weight for mean, weight in zip(by_hand, weights, strict=True)]
    train(averaged, tmp_path / "averaged", TrainingLength(steps=11, batch=8, lr=0.01, ema=0.5))
    assert len(seen) == 12
    for mean, expected in zip(averaged.parameters(), by_hand, strict=True):
        assert torch.allclose(mean, expected, rtol=0, atol=1e-6)


def test_a_loss_that_is_not_finite_stops_with_one_sentence(tmp_path: Path) -> None:
    model = network()
    with pytest.raises(InputError, match="test: the loss is nan at step 0; lower its learning rate"):
        optimise([model], lambda _: model(torch.zeros(2, 4)).sum() * math.nan, LENGTH, tmp_path / "c", "test")
    late, model = replace(LENGTH, steps=3), network()  # between two looks
    with pytest.raises(InputError, match="the loss is nan at step 2"):
        optimise([model], lambda k: model(torch.zeros(2, 4)).sum() * (math.nan if k else 1), late, tmp_path / "d", "t")


def test_the_learning_rate_warms_up_then_falls_to_nearly_zero() -> None:
    length = TrainingLength(steps=1000, batch=1, lr=0.1)
    rates = [learning_rate(step, length) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1 / 30) and max(rates) == pytest.approx(0.1)
    assert rates[:30] == sorted(rates[:30]) and rates[30:] == sorted(rates[30:], reverse=True)
    assert rates[-1] < 1e-5
