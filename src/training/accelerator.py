"""One training on one or several processes: accelerate's device, precision and sums over processes."""

import os
from collections.abc import Sequence
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list

from src.runtime.errors import InputError
from src.runtime.processes import joined
from src.settings.recipe import Recipe
from src.training.optimisation import PRECISIONS

T = TypeVar("T")

# From these accelerate concludes that there are several processes.
LAUNCHER = ("LOCAL_RANK", "WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def accelerator(recipe: Recipe, device: torch.device) -> Accelerator:
    """Return the Accelerator of one training: all processes in `src.runtime.processes.together`, else this one alone.

    device: where the model lies. InputError for float16 on a CPU and for parts that the processes cannot share out.
    """
    if recipe.precision == "float16" and device.type == "cpu":
        raise InputError("training: precision float16 needs a GPU; use float32 or bfloat16 on a CPU")
    # accelerate keeps one precision for the life of a Python process; here each training has its own.
    AcceleratorState._reset_state(reset_partial_state=True)
    # A process alone hides the launcher's variables: accelerate would wait for processes that left.
    hidden = {} if joined() else {name: os.environ.pop(name) for name in LAUNCHER if name in os.environ}
    try:
        helper = Accelerator(cpu=device.type == "cpu", mixed_precision=PRECISIONS[recipe.precision])
    finally:
        os.environ.update(hidden)
    if recipe.parts % helper.num_processes:
        raise InputError(
            f"{helper.num_processes} processes cannot share out training in {recipe.parts} part(s); set `parts` of the "
            f"recipe to a multiple of {helper.num_processes}, or start fewer processes"
        )
    return helper


def shared(value: T, accelerator: Accelerator) -> T:
    """Return the first process's value on every process."""
    return broadcast_object_list([value])[0] if accelerator.num_processes > 1 else value


def sum_over_processes(values: Sequence[torch.Tensor], accelerator: Accelerator) -> None:
    """Replace each value by its sum over the processes; nothing for one process."""
    if accelerator.num_processes == 1 or not values:
        return
    flat = accelerator.reduce(torch.cat([value.flatten() for value in values]))
    for value, total in zip(values, flat.split([value.numel() for value in values]), strict=True):
        value.copy_(total.view_as(value))
