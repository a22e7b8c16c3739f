"""Who am I among how many: rank, world size and device from the launcher's environment (torchrun or srun).

Hardware is not a parameter: these values decide who makes a thing and where, never what it is.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from src.runtime.errors import InputError

if TYPE_CHECKING:  # seconds of import that rank and share need not pay
    import torch


def rank() -> int:
    """Return this process's number, from 0. A process that joins others later may have any."""
    return _first("RANK", "SLURM_PROCID", default=0, least=0)


def world_size() -> int:
    """Return the number of cooperating processes, 1 without a launcher.

    Under Slurm the step's count is read, not SLURM_NTASKS: a plain `python` in a batch script of four tasks
    sees the latter as 4 and would do a quarter of the work.
    """
    return _first("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", default=1, least=1)


def is_main() -> bool:
    """Return whether this process reports progress and writes what is written once."""
    return rank() == 0


def device() -> "torch.device":
    """Return this process's GPU, or the CPU where there is none."""
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    local = _first("LOCAL_RANK", "SLURM_LOCALID", default=0, least=0)
    # A launcher may show each process its own GPU only, which is then number 0 for all of them.
    return torch.device("cuda", local % torch.cuda.device_count())


def my_share(n: int) -> range:
    """Return with which of n items this process begins: every world_size-th, so shares differ by one at most."""
    return range(rank() % world_size(), n, world_size())


def workers(parts: int) -> int:
    """Return how many processes share out a training in `parts` equal parts: all if they divide them, else one."""
    return world_size() if parts % world_size() == 0 else 1


@contextmanager
def together(count: int | None = None) -> Iterator[None]:
    """Join the launcher's processes into one group, inside which a training divides its batches; nothing for one.

    count: how many take part, all (None) or one; the others are not to come here. Under torchrun all is set; under srun
    the address of the first process must be, and InputError says so.
    """
    if 1 in (count, world_size()):
        yield
        return
    import torch

    if missing := [name for name in ("MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]:
        raise InputError(
            f"{world_size()} processes cannot find each other, because {' and '.join(missing)} is not set; export the "
            "first node's name as MASTER_ADDR and a free port as MASTER_PORT, or launch with torchrun"
        )
    here = device()
    backend = "gloo"
    if here.type == "cuda":
        torch.cuda.set_device(here)
        backend = "cpu:gloo,cuda:nccl"
    # Under torchrun's names, which accelerate reads too.
    local = _first("LOCAL_RANK", "SLURM_LOCALID", default=0, least=0)
    names = {"RANK": rank(), "WORLD_SIZE": world_size(), "LOCAL_RANK": local}
    os.environ.update({name: str(value) for name, value in names.items()})
    torch.distributed.init_process_group(backend, rank=rank(), world_size=world_size())
    yield
    # Not after an error: the other processes would never come to the end that this waits for.
    torch.distributed.destroy_process_group()


def joined() -> bool:
    """Return whether this process works inside `together` with others."""
    if world_size() == 1:
        return False
    import torch

    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _first(*names: str, default: int, least: int) -> int:
    for name in names:
        if text := os.environ.get(name):
            try:
                if (number := int(text)) >= least:
                    return number
            except ValueError:
                pass
            raise InputError(
                f"{name}={text} in the environment must be a whole number from {least} on; correct or unset it"
            )
    return default
