"""Who makes what: every item exactly once, whatever the launcher."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src.runtime import processes
from src.runtime.errors import InputError

NAMES = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "SLURM_PROCID",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_LOCALID",
    "SLURM_NTASKS",
    "MASTER_ADDR",
    "MASTER_PORT",
)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_a_launcher_one_process_does_everything():
    assert processes.is_main() and list(processes.my_share(3)) == [0, 1, 2]


@pytest.mark.parametrize("names", [("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")])
def test_torchrun_and_srun_are_both_understood(alone, names):
    alone.setenv(names[0], "2")
    alone.setenv(names[1], "4")
    assert (processes.rank(), processes.world_size(), processes.is_main()) == (2, 4, False)
    assert list(processes.my_share(9)) == [2, 6]


def test_a_plain_process_in_a_batch_script_does_everything(alone):
    alone.setenv("SLURM_PROCID", "0")
    alone.setenv("SLURM_NTASKS", "4")
    assert processes.world_size() == 1


@given(st.integers(0, 50), st.integers(1, 8))
def test_shares_cover_everything_once(n, world):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORLD_SIZE", str(world))
        shares = []
        for rank in range(world):
            patch.setenv("RANK", str(rank))
            shares.append(list(processes.my_share(n)))
    assert sorted(item for share in shares for item in share) == list(range(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_each_process_takes_its_own_gpu_or_the_only_one_it_sees(alone):
    alone.setattr(torch.cuda, "is_available", lambda: True)
    alone.setenv("LOCAL_RANK", "3")
    for visible, expected in [(8, "cuda:3"), (1, "cuda:0")]:
        alone.setattr(torch.cuda, "device_count", lambda visible=visible: visible)
        assert processes.device() == torch.device(expected)
    alone.setattr(torch.cuda, "is_available", lambda: False)
    assert processes.device() == torch.device("cpu")


@given(st.integers(1, 64), st.integers(1, 16))
def test_a_training_takes_all_processes_if_they_divide_its_parts_and_one_otherwise(parts, world):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORLD_SIZE", str(world))
        taken = processes.workers(parts)
    assert taken == (world if parts % world == 0 else 1)


@pytest.mark.parametrize(
    ("name", "text"), [("RANK", "two"), ("RANK", "-1"), ("WORLD_SIZE", "0"), ("WORLD_SIZE", "1.5")]
)
def test_a_launchers_word_that_is_no_number_is_one_sentence(alone, name, text):
    alone.setenv(name, text)
    with pytest.raises(InputError, match=f"^{name}={text} in the environment must be a whole number from [01] on"):
        processes.my_share(3)


def test_a_process_that_joins_under_any_number_begins_with_somebodys_share(alone):
    alone.setenv("RANK", "7")
    alone.setenv("WORLD_SIZE", "3")
    assert list(processes.my_share(9)) == [1, 4, 7]


def test_one_process_has_nobody_to_join():
    with processes.together():
        assert not processes.joined() and not torch.distributed.is_initialized()


def test_a_training_that_one_process_does_joins_nobody_under_a_launcher(alone):
    alone.setenv("WORLD_SIZE", "3")
    with processes.together(1):
        assert not processes.joined()


def test_processes_that_cannot_find_each_other_say_what_is_missing(alone):
    alone.setenv("SLURM_STEP_NUM_TASKS", "2")
    alone.setenv("MASTER_ADDR", "node1")
    with pytest.raises(InputError, match="because MASTER_PORT is not set"), processes.together():
        pass


def test_a_launcher_alone_does_not_join_its_processes(alone):
    alone.setenv("WORLD_SIZE", "4")
    assert not processes.joined()
