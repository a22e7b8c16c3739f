"""What an image costs at the papers' shapes, counted in operations on tensors without data: no GPU, no weights.

    python -m benchmarks.counted --out benchmarks/results/counted.json

Stable unCLIP 2.1 at 768 px: one forward and one input-only backward of UNet and decoder. src/studies/paper.py turns
them into GPU-hours of a study.
"""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.measure import command_line, machine
from benchmarks.shapes import EMBEDDING, LATENT, autoencoder, unet
from src.generators.frozen_layers import freeze
from src.runtime.entry import run_stage
from src.runtime.files import write_json
from src.synthesis.cost import flops

TERA = 1e12


def counted(call: Callable[[torch.Tensor], torch.Tensor], shape: tuple[int, ...]) -> dict[str, float]:
    """Operations in tera of a forward pass on (1, *shape), and of the backward pass to its input."""
    x = torch.empty(1, *shape, device="meta", requires_grad=True)
    forward = flops(lambda: call(x.detach()))
    both = flops(lambda: torch.autograd.grad(call(x).sum(), x))
    return {"forward": forward / TERA, "backward": (both - forward) / TERA}


def main() -> None:
    options = command_line(__doc__).parse_args()
    with torch.device("meta"):
        denoiser, decoder = unet(), autoencoder()
    for network in (denoiser, decoder):
        freeze(network)
    condition: dict[str, Any] = {
        "encoder_hidden_states": torch.empty(1, 77, 1024, device="meta"),
        "class_labels": torch.empty(1, 2 * EMBEDDING, device="meta"),
    }
    t = torch.zeros(1, device="meta")
    shape = (4, LATENT, LATENT)
    report = {
        "machine": machine(),
        "unit": "TFLOP per image",
        "sd21_unclip": {
            "image_size": 8 * LATENT,
            "unet": counted(lambda x: denoiser(x, t, **condition).sample, shape),
            "decoder": counted(lambda x: decoder.decode(x).sample, shape),
        },
    }
    for part in ("unet", "decoder"):
        print(part, report["sd21_unclip"][part])
    if options.out is not None:
        write_json(options.out, report)


if __name__ == "__main__":
    run_stage(main)
