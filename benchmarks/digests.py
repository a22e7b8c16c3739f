"""Digests of floating-point operations in pinned arithmetic: equal on two processors, so are the pipeline's results.

python -m benchmarks.digests          # prints which differ from those in benchmarks/results/digests.json
python -m benchmarks.digests --add    # and adds this processor's there

Those of Zen 3 were taken one by one under the settings that are now together.
"""

import argparse
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.runtime.arithmetic import arithmetic
from src.runtime.entry import run_stage
from src.runtime.files import read_json, write_json
from src.runtime.machine import processor
from src.runtime.portable_kernels import use_portable_kernels

FILE = Path("benchmarks/results/digests.json")
MATRICES = ((64, 64, 64), (128, 256, 64), (1024, 96, 384), (600, 160, 10), (3, 1000, 7))
PRODUCTS = ((7680, 96, 768), (1920, 640, 160), (300, 2048, 30))  # as convolutions
CONVOLUTIONS = (  # images, channels, channels out, side, kernel, stride
    (64, 1, 32, 32, 3, 1), (64, 32, 64, 16, 3, 2), (16, 96, 96, 8, 3, 1), (16, 160, 96, 8, 1, 1),
    (2, 320, 320, 24, 3, 1),
)  # fmt: skip


class Digests:
    """Short hashes of results by name, and the draws that they are made from."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._draw = torch.Generator().manual_seed(0)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._draw)

    def keep(self, name: str, value: Tensor | np.ndarray) -> None:
        array = value.detach().contiguous().numpy() if isinstance(value, Tensor) else value
        self.found[name] = hashlib.sha256(array.tobytes()).hexdigest()[:12]


def digests() -> dict[str, str]:
    """Of operations that training, sampling and measuring consist of, on fixed random numbers."""
    if arithmetic() == "pinned":
        use_portable_kernels()
    d = Digests()
    _elementwise(d)
    _matrices(d)
    _convolutions(d)
    _training(d)
    _linear_algebra(d)
    _products(d, PRODUCTS, "product", "linear layer")
    return d.found


def _elementwise(d: Digests) -> None:
    d.keep("random normal", d.normal(4096))
    x = d.normal(65536)
    for name in ("exp", "log1p", "tanh", "sigmoid", "rsqrt", "erf", "sin", "cos", "log", "sqrt"):
        d.keep(name, getattr(torch, name)(x.abs() + 0.1))
    for name in ("gelu", "silu"):
        d.keep(name, getattr(F, name)(x))
    d.keep("sum", x.sum()[None])
    d.keep("sum rows", d.normal(64, 1000).sum(1))
    d.keep("mean double", x.double().mean()[None])
    d.keep("softmax", d.normal(64, 1000).softmax(1))
    d.keep("log_softmax", d.normal(64, 10).log_softmax(1))
    d.keep("layer norm", F.layer_norm(d.normal(64, 256), (256,)))
    d.keep("group norm", F.group_norm(d.normal(16, 64, 8, 8), 16))
    d.keep("batch norm", F.batch_norm(d.normal(64, 32, 16, 16), torch.zeros(32), torch.ones(32), training=True))


def _matrices(d: Digests) -> None:
    _products(d, MATRICES, "matmul", "linear")
    d.keep("bmm", d.normal(8, 64, 32) @ d.normal(8, 32, 64))
    d.keep("matmul double", d.normal(256, 300).double() @ d.normal(300, 200).double())
    d.keep("attention", F.scaled_dot_product_attention(*(d.normal(8, 4, 64, 24) for _ in range(3))))


def _convolutions(d: Digests) -> None:
    for images, channels, out_channels, side, kernel, stride in CONVOLUTIONS:
        image = d.normal(images, channels, side, side).requires_grad_()
        weight = d.normal(out_channels, channels, kernel, kernel).requires_grad_()
        out = F.conv2d(image, weight, stride=stride, padding=kernel // 2)
        name = f"conv {images}x{channels}x{side} to {out_channels}, {kernel}, stride {stride}"
        d.keep(name, out)
        out.square().sum().backward()
        for what, gradient in (("input", image.grad), ("weight", weight.grad)):
            assert gradient is not None
            d.keep(f"{name}: {what} gradient", gradient)
    d.keep("max pool", F.max_pool2d(d.normal(16, 32, 16, 16), 2))
    d.keep("bicubic", F.interpolate(d.normal(8, 3, 48, 48), (32, 32), mode="bicubic", antialias=True))
    image, angles = d.normal(8, 1, 16, 16), d.normal(8, 2, 3) * 0.1
    grid = F.affine_grid(angles, [8, 1, 32, 32], align_corners=False)
    d.keep("bilinear grid", F.grid_sample(image, grid, align_corners=False))


def _training(d: Digests) -> None:
    weight = d.normal(128, 64).requires_grad_()
    step = torch.optim.AdamW([weight], 1e-3)
    for _ in range(5):
        step.zero_grad()
        F.cross_entropy(d.normal(32, 64) @ weight.T, torch.arange(32)).backward()
        step.step()
    d.keep("adamw, 5 steps", weight)


def _linear_algebra(d: Digests) -> None:
    spd = d.normal(64, 200).double()
    spd = spd @ spd.T / 200
    d.keep("cholesky double", torch.linalg.cholesky(spd))
    d.keep("eigvalsh double", torch.linalg.eigvalsh(spd))
    d.keep("svdvals double", torch.linalg.svdvals(d.normal(64, 40).double()))
    d.keep("qr double", torch.linalg.qr(d.normal(64, 40).double())[1])
    a = np.random.default_rng(0).standard_normal((200, 64))
    d.keep("numpy matmul double", a.T @ a)
    d.keep("numpy matmul float", a.astype("f4").T @ a.astype("f4"))
    d.keep("numpy eigh", np.linalg.eigvalsh(a.T @ a))
    d.keep("numpy exp", np.exp(a))


def _products(d: Digests, sizes: Iterable[tuple[int, int, int]], product: str, layer: str) -> None:
    for m, k, n in sizes:
        d.keep(f"{product} {m}x{k}x{n}", d.normal(m, k) @ d.normal(k, n))
        d.keep(f"{layer} {m}x{k}x{n}", F.linear(d.normal(m, k), d.normal(n, k), d.normal(n)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", action="store_true")
    options = parser.parse_args()
    known: dict[str, Any] = read_json(FILE) if FILE.exists() else {}
    found = digests()
    print(f"{processor()}, arithmetic {arithmetic()}")
    for name, others in known.items():
        differ = [operation for operation, digest in others.items() if found.get(operation) != digest]
        print(f"{len(others) - len(differ)} of {len(others)} agree with {name}", *differ, sep="\n  ")
    if options.add:
        write_json(FILE, {**known, processor(): found})


if __name__ == "__main__":
    run_stage(main)
