"""Checkpoints return as saved, or not at all."""

import pytest
import torch

from src.runtime.checkpoint_file import load_checkpoint, save_checkpoint


def test_a_checkpoint_returns_as_saved(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    tensors = {"a": shared.T, "b": shared, "step": torch.tensor(3)}
    save_checkpoint(tmp_path / "c", tensors, {"step": 3, "curve": [{"loss": 0.5}]})
    loaded, state = load_checkpoint(tmp_path / "c")
    assert state == {"step": 3, "curve": [{"loss": 0.5}]}
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("keep", [0, 4, 60, 110])
def test_a_damaged_checkpoint_means_starting_over(tmp_path, keep):
    save_checkpoint(tmp_path / "c", {"a": torch.zeros(8)}, {"step": 3})
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:keep])
    assert load_checkpoint(tmp_path / "c") is None
    assert load_checkpoint(tmp_path / "absent") is None
