"""Who am I among how many: rank, world size and device from the launcher's environment (torchrun or srun).

Hardware is not a parameter: these values decide who makes a thing and where, never what it is.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # seconds of import that rank and share need not pay
    import torch


def rank() -> int:
    """Return this process's number, from 0."""
    return _first("RANK", "SLURM_PROCID", default=0)


def world_size() -> int:
    """Return the number of cooperating processes, 1 without a launcher.

    Under Slurm the step's count is read, not SLURM_NTASKS: a plain `python` in a batch script of four tasks
    sees the latter as 4 and would do a quarter of the work.
    """
    return _first("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", default=1)


def is_main() -> bool:
    """Return whether this process reports progress and writes what is written once."""
    return rank() == 0


def device() -> "torch.device":
    """Return this process's GPU, or the CPU where there is none."""
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    local = _first("LOCAL_RANK", "SLURM_LOCALID", default=0)
    # A launcher may show each process its own GPU only, which is then number 0 for all of them.
    return torch.device("cuda", local % torch.cuda.device_count())


def my_share(n: int) -> range:
    """Return which of n items are this process's: every world_size-th, so shares differ by one at most."""
    return range(rank(), n, world_size())


def _first(*names: str, default: int) -> int:
    return next((int(os.environ[name]) for name in names if os.environ.get(name)), default)
