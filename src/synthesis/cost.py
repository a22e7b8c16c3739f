"""What an image costs: time and counted operations, and the share of the machine's matrix rate they reach.

Times differ between machines and runs, so the report is a metric beside the pipeline, not an output in dvc.lock.
"""

import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop, sdpa_flop

from src.synthesis.synthesiser import Synthesiser

MATRIX = {"cpu": 1024, "cuda": 8192}  # edge of the square product that measures the machine
REPEATS = 5
PROBE = 16  # images, to measure an image's cost


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


# The library's registry has attention on GPUs alone.
FORMULAS = {
    **flop_registry,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: sdpa_flop,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: sdpa_backward_flop,
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


def cost_of(synthesiser: Synthesiser, took: Mapping[str, float], **settings: str) -> dict[str, Any]:
    """The cost of a synthesiser's images, measured on the first ones of its plan, guided and unguided; ready for JSON.

    took: images, seconds and peak_memory_gb of sampling them all, empty if that is not known. settings: names to tell
    this cost from another's, such as the feedback's, since it is not versioned with the images.
    """
    generator, probe = synthesiser.generator, min(PROBE, len(synthesiser.plan))
    device, dtype = generator.device, generator.dtype

    def one_image(maker: Synthesiser) -> tuple[int, float]:
        counted = flops(lambda: maker(maker.plan[:1]))
        return counted, seconds(lambda: maker(maker.plan[:probe]), device, generator.compiled) / probe

    counted, taken = one_image(synthesiser)
    rate = matrix_rate(device, dtype)
    cost: dict[str, Any] = {
        **settings,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "precision": str(dtype).removeprefix("torch."),
        **took,
        **({"images_per_second_per_worker": took["images"] / took["seconds"]} if took.get("seconds") else {}),
        "gflop_per_image": counted / 1e9,
        "seconds_per_image": taken,
        "matrix_gflop_per_second": rate / 1e9,
        "share_of_matrix_rate": counted / taken / rate,
    }
    if synthesiser.guide is not None:
        plain_counted, plain = one_image(synthesiser.unguided())
        cost |= {
            "gflop_per_unguided_image": plain_counted / 1e9,
            "seconds_per_unguided_image": plain,
            "guided_over_unguided": taken / plain,
        }
    return cost
