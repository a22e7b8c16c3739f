"""What an image costs: time, memory and counted operations, and the share of the machine's matrix rate they reach.

Times differ between machines and runs, so the report is a metric beside the pipeline, not an output in dvc.lock.
"""

import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from src.runtime.files import read_json, write_json

MATRIX = {"cpu": 1024, "cuda": 8192}  # edge of the square product that measures the machine
REPEATS = 5


def seconds(work: Callable[[], object], device: torch.device, warm: bool = False) -> float:
    """Wall time of `work`, with the device's queue drained before and after.

    warm: run it once before, untimed. A compiled network is compiled at its first call.
    """
    if warm:
        work()
    drain = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    drain()
    start = time.perf_counter()
    work()
    drain()
    return time.perf_counter() - start


def _attention(q: Any, k: Any, v: Any, *args: Any, **kwargs: Any) -> int:
    return int(sdpa_flop_count(q.shape, k.shape, v.shape))


def _attention_backward(grad: Any, q: Any, k: Any, v: Any, *args: Any, **kwargs: Any) -> int:
    return int(sdpa_backward_flop_count(grad.shape, q.shape, k.shape, v.shape))


# The library's registry has attention on GPUs alone.
FORMULAS = {
    **flop_registry,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}


class _Counter(TorchDispatchMode):
    """The library's formulas, applied to every operation; its own counter fails on gradients of leaves."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        formula = FORMULAS.get(func.overloadpacket)
        if formula is None:
            with self:  # composite operations arrive whole in inference mode
                parts = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if parts is NotImplemented else parts
        out = func(*args, **kwargs)
        self.total += int(formula(*args, **kwargs, out_val=out))
        return out


def flops(work: Callable[[], object]) -> int:
    """Floating-point operations of matrix products, convolutions and attention in `work`, forward and backward."""
    with _Counter() as counter:
        work()
    return counter.total


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a large matrix product, the best of a few: what the machine can do at most."""
    edge = MATRIX[device.type]
    a = torch.randn(edge, edge, device=device).to(dtype)
    best = min(seconds(lambda: a @ a, device) for _ in range(REPEATS))
    return 2 * edge**3 / best


def peak_gb(device: torch.device) -> float:
    """Peak memory of this process so far: the device's, or the process's own on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    try:  # not getrusage's, which begins with the peak of the process that started this one
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9
    except (OSError, LookupError):  # not Linux, where getrusage counts bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9


def note(folder: Path, shard: str, images: int, taken: float, device: torch.device) -> None:
    """Keep what one shard took beside the shards, so that a resumed run knows what the killed one spent."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{shard}.json", {"images": images, "seconds": taken, "peak_memory_gb": peak_gb(device)})


def spent(folder: Path) -> dict[str, float]:
    """Sum of all notes: images, seconds of all workers together, and the largest peak."""
    notes = [read_json(path) for path in sorted(folder.glob("*.json"))]
    return {
        "images": sum(n["images"] for n in notes),
        "seconds": sum(n["seconds"] for n in notes),
        "peak_memory_gb": max((n["peak_memory_gb"] for n in notes), default=0.0),
    }


def report(
    folder: Path, guided: Callable[[int], object], unguided: Callable[[int], object] | None, probe: int,
    device: torch.device, dtype: torch.dtype, warm: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """The cost of an arm, ready for JSON.

    folder: of the shards' notes. guided, unguided: make the given number of images, the second without feedback and
    None where there is no feedback. probe: images for the side-by-side measurement. warm: as in `seconds`.
    """
    total = spent(folder)
    counted = flops(lambda: guided(1))
    taken = seconds(lambda: guided(probe), device, warm) / probe
    rate = matrix_rate(device, dtype)
    cost: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "precision": str(dtype).removeprefix("torch."),
        **total,
        "images_per_second_per_worker": total["images"] / total["seconds"] if total["seconds"] else None,
        "gflop_per_image": counted / 1e9,
        "seconds_per_image": taken,
        "matrix_gflop_per_second": rate / 1e9,
        "share_of_matrix_rate": counted / taken / rate,
    }
    if unguided is not None:
        plain = seconds(lambda: unguided(probe), device, warm) / probe
        cost |= {
            "gflop_per_unguided_image": flops(lambda: unguided(1)) / 1e9,
            "seconds_per_unguided_image": plain,
            "guided_over_unguided": taken / plain,
        }
    return cost
