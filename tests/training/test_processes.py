"""A killed training and a training on two processes end as one that was left alone."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch

from src.runtime.checkpoint_file import load_checkpoint

from .worker import IN_PARTS

ROUNDING = 1e-5  # of losses over 20 steps: the gradients of the parts are added in another order


def start(task: str, folder, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.worker", task, str(folder)],
        env={**os.environ, "DVC_ROOT": str(folder), "OMP_NUM_THREADS": "1", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate()
    assert process.returncode == 0, errors


@pytest.mark.slow
def test_a_killed_training_ends_with_the_weights_of_an_uninterrupted_one(tmp_path) -> None:
    killed = start("die", tmp_path)
    killed.communicate()
    assert killed.returncode == -9
    finish(start("finish", tmp_path))
    (resumed, curve), (whole, whole_curve) = (load_checkpoint(tmp_path / name) for name in ("resumed", "whole"))
    assert curve == whole_curve and len(curve["curve"]) == 10
    assert all(torch.equal(value, whole[name]) for name, value in resumed.items())


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    both = [start("together", tmp_path, RANK=str(r), LOCAL_RANK=str(r), **address) for r in range(2)]
    for process in both:
        finish(process)
    finish(start("alone", tmp_path))  # on one thread, as they are: a sum over two threads rounds differently
    for case in IN_PARTS:
        alone, single = load_checkpoint(tmp_path / f"{case}-alone")
        curve = single["curve"]
        stored = [load_checkpoint(tmp_path / f"{case}-{rank}") for rank in range(2)]
        for name, value in stored[0][0].items():
            assert torch.equal(value, stored[1][0][name])
            assert torch.allclose(value, alone[name], atol=1e-5), (case, name)
        assert stored[0][1] == stored[1][1]
        for row, expected in zip(stored[0][1]["curve"], curve, strict=True):
            assert row["loss"] == pytest.approx(expected["loss"], abs=ROUNDING)
            assert row["accuracy"] == expected["accuracy"] and row["worst_group"] == expected["worst_group"]
    for rank in range(2):
        assert "set `parts` of the recipe to a multiple of 2" in (tmp_path / f"refused-{rank}").read_text()
    assert np.isfinite(curve[-1]["loss"])
