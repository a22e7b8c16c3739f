"""How many images fit: batch and micro-batch from the device's free memory, never from params.yaml.

Everything in guided sampling is per sample, or per cohort, which is never cut, so neither number changes an image
beyond rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from src.generators.diffusion_model import Condition, DiffusionModel

NETWORK_SHARE, DECODER_SHARE = 0.45, 0.35  # of free memory; the rest is for fragmentation and the libraries


@dataclass(frozen=True)
class Fit:
    """batch: images sampled together; micro_batch: images decoded and judged together under a gradient."""

    batch: int
    micro_batch: int


def fit(free: int, network: int, decoder: int, largest: int) -> Fit:
    """The largest batches for `free` bytes, if one image takes `network` and `decoder` bytes; each 1 to `largest`."""
    shares = (NETWORK_SHARE * free / max(network, 1), DECODER_SHARE * free / max(decoder, 1))
    batch, micro_batch = (min(largest, max(1, int(share))) for share in shares)
    return Fit(batch, min(batch, micro_batch))


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Peak device memory that `work` takes beyond what is already in use."""
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def measured_fit(
    model: DiffusionModel, look: Callable[[Tensor], Tensor], condition: Condition, largest: int, guided: bool
) -> Fit:
    """`fit` for this generator on its device, from one image's forward, and backward if it is guided; none on a CPU.

    look: what becomes of a latent beside the network, its decoding and what judges it. condition: of one image.
    """
    if model.device.type != "cuda":
        return Fit(largest, largest)

    def run(of: Callable[[Tensor], Tensor]) -> None:
        z = torch.zeros(1, *model.latent_shape, device=model.device, requires_grad=guided)
        with torch.set_grad_enabled(guided):
            value = of(z).sum()
        if guided:
            torch.autograd.grad(value, z)

    network = peak_bytes(lambda: run(lambda z: model.denoise(z, 1, condition)), model.device)
    decoder = peak_bytes(lambda: run(look), model.device)
    torch.cuda.empty_cache()  # what the allocator holds for later is free too
    return fit(torch.cuda.mem_get_info(model.device)[0], network, decoder, largest)
