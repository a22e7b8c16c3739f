"""A training's state: what comes back from a checkpoint, and who writes it."""

import torch
from torch import nn

from src.training.training_state import TrainingState


def run(path, scaler=None, writes: bool = True) -> TrainingState:
    model = nn.Linear(2, 2)
    return TrainingState(model, None, nn.Module(), torch.optim.SGD(model.parameters(), lr=1.0), scaler, path, writes)


def scaler(start: float) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", init_scale=start, growth_interval=1)


def test_the_scale_of_float16_gradients_goes_on_from_where_it_was(tmp_path) -> None:
    first = run(tmp_path / "state", scaler(8.0))
    first.scaler.scale(first.model(torch.ones(1, 2)).sum()).backward()
    first.scaler.step(first.optimizer)
    first.scaler.update()
    first.keep({"step": 1, "accuracy": 0.5}, "accuracy")
    again = run(tmp_path / "state", scaler(1.0))
    assert again.resume() == 1
    assert again.scaler.get_scale() == 16.0 and torch.equal(again.model.weight, first.model.weight)


def test_a_process_that_does_not_write_leaves_no_file_but_remembers(tmp_path) -> None:
    other = run(tmp_path / "state", writes=False)
    other.keep({"step": 1, "accuracy": 0.5}, "accuracy")
    assert not list(tmp_path.iterdir()) and other.curve and other.weights
    assert run(tmp_path / "state").resume() == 0
