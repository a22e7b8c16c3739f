"""What each lever is worth on this processor: the engine as it is, and with one thing changed at a time.

    python -m benchmarks.levers --out benchmarks/results/levers.json

Ratios are the engine's median time over the changed one's, both guided as by default and unguided: above 1 the change
would be faster, and `as it is, again` says how much of that is chance. `mean_change` is how far the images move, as a
share of the pixels' range. Compiling takes minutes for every shape, so `--compile` asks for it.
"""

import argparse
import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from benchmarks.measure import alternate, machine
from benchmarks.plain import thawed
from benchmarks.sampling import Bench
from src.feedback.guidance import Schedule
from src.generators.diffusion_model import DiffusionModel
from src.generators.loading import load
from src.runtime.entry import run_stage
from src.runtime.files import read_bytes, write_json
from src.synthesis.synthesiser import settings_from

CPU = torch.device("cpu")


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def layout(model: DiffusionModel, memory_format: torch.memory_format) -> Iterator[None]:
    parts: list[nn.Module] = [model.pipeline.unet, model.pipeline.vae]
    for part in parts:
        part.to(memory_format=memory_format)
    try:
        yield
    finally:
        for part in parts:
            part.to(memory_format=torch.contiguous_format)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    preset = yaml.safe_load(read_bytes("params.yaml"))["generators"]["tiny_unclip"]
    settings, schedule = settings_from(preset, "text_image", 0.0), Schedule(0.03, 3, 0, None, "latent")

    def bench(**changes: Any) -> Bench:
        return Bench(load({**preset, **changes}, CPU), settings, schedule, options.images)

    plain = bench()
    half = bench(precision="bfloat16")
    changes: dict[str, tuple[Bench, Callable[[], AbstractContextManager[Any]]]] = {
        "as it is": (plain, nullcontext),
        "channels_last": (plain, lambda: layout(plain.model, torch.channels_last)),
        "convolutions that store their input": (plain, lambda: thawed(plain.model)),
        "without oneDNN": (plain, lambda: torch.backends.mkldnn.flags(enabled=False)),
        "denormals flushed": (plain, denormals),
        "bfloat16": (half, nullcontext),
        "as it is, again": (plain, nullcontext),
    }
    if options.compile:
        changes["compile"] = (bench(compile=True), nullcontext)
    report: dict[str, Any] = {"machine": machine(), "images": options.images}
    for guided in (True, False):
        rows = dict(changes)
        if not guided:
            rows["inference_mode"] = (plain, torch.inference_mode)
        contestants = {name: run(b, around, guided) for name, (b, around) in rows.items()}
        contestants["one thread"] = run(
            plain, lambda: threads(1), guided
        )  # last, because its neighbours restart threads
        if options.compile:
            contestants["compile"]()  # compilation is not what is timed
        times = alternate(contestants, options.repeats)
        exact = pixels(contestants["as it is"]())
        report["guided" if guided else "unguided"] = {
            name: {
                "seconds": median(times[name]),
                "times": times[name],
                "speedup": median(times["as it is"]) / median(times[name]),
                "mean_change": float(np.abs(pixels(contestants[name]()) - exact).mean() / 255),
            }
            for name in contestants
        }
    if options.out:
        write_json(options.out, report)


@contextmanager
def denormals() -> Iterator[None]:
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def run(bench: Bench, around: Callable[[], AbstractContextManager[Any]], guided: bool) -> Callable[[], Any]:
    """The bench's engine inside a context, the same plan every time."""
    work = bench.engine(guided=guided)

    def inside() -> Any:
        with around():
            return work()

    return inside


def pixels(samples: Any) -> np.ndarray:
    return np.stack([image for image, _ in copy.copy(samples)]).astype(np.float64)


if __name__ == "__main__":
    run_stage(main)
