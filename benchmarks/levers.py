"""What each lever is worth on this processor: the engine as it is, and with one thing changed at a time.

    python -m benchmarks.levers --out benchmarks/results/levers.json

Ratios are the engine's median time over the changed one's, both guided as by default and unguided: above 1 the change
would be faster, and `as it is, again` says how much of that is chance. `mean_change` is how far the images move, as a
share of the pixels' range. Compiling takes minutes for every shape, so `--compile` asks for it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.measure import command_line, compared, machine, preset
from benchmarks.plain import thawed
from benchmarks.sampling import Bench
from src.generators.diffusion_model import DiffusionModel
from src.generators.loading import load
from src.runtime.entry import run_stage
from src.runtime.files import write_json
from src.settings.sections import FeedbackSettings, GeneratorSettings

CPU = torch.device("cpu")
Around = Callable[[], AbstractContextManager[Any]]


@contextmanager
def switched(switch: Callable[[Any], object], inside: Any, outside: Any) -> Iterator[None]:
    switch(inside)
    try:
        yield
    finally:
        switch(outside)


def layout(model: DiffusionModel) -> Callable[[torch.memory_format], object]:
    parts = (model.pipeline.unet, model.pipeline.vae)
    return lambda memory_format: [part.to(memory_format=memory_format) for part in parts]


def run(bench: Bench, around: Around, guided: bool) -> Callable[[], Any]:
    """The bench's engine inside a context, the same plan every time."""
    work = bench.engine(guided=guided)

    def inside() -> Any:
        with around():
            return work()

    return inside


def pixels(samples: Any) -> np.ndarray:
    return np.stack([image for image, _ in samples]).astype(np.float64)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    settings = preset(GeneratorSettings, "generators", "tiny_unclip")
    feedback = replace(preset(FeedbackSettings, "feedbacks", "entropy"), scale=0.03, every=3)

    def bench(**changes: Any) -> Bench:
        return Bench(load(replace(settings, **changes), CPU), settings, feedback, options.images)

    plain, half = bench(), bench(precision="bfloat16")
    formats = (torch.channels_last, torch.contiguous_format)
    changes: dict[str, tuple[Bench, Around]] = {
        "as it is": (plain, nullcontext),
        "channels_last": (plain, lambda: switched(layout(plain.model), *formats)),
        "convolutions that store their input": (plain, lambda: thawed(plain.model)),
        "without oneDNN": (plain, lambda: torch.backends.mkldnn.flags(enabled=False)),
        "denormals flushed": (plain, lambda: switched(torch.set_flush_denormal, True, False)),
        "bfloat16": (half, nullcontext),
        "as it is, again": (plain, nullcontext),
    }
    if options.compile:
        changes["compile"] = (bench(compile=True), nullcontext)
    report: dict[str, Any] = {"machine": machine(), "images": options.images}
    for guided in (True, False):
        rows = dict(changes) if guided else {**changes, "inference_mode": (plain, torch.inference_mode)}
        # Last, because its neighbours restart threads.
        rows["one thread"] = (plain, lambda: switched(torch.set_num_threads, 1, torch.get_num_threads()))
        contestants = {name: run(b, around, guided) for name, (b, around) in rows.items()}
        if options.compile:
            contestants["compile"]()  # compilation is not what is timed
        timed = compared(contestants, options.repeats, "as it is")
        exact = pixels(contestants["as it is"]())
        report["guided" if guided else "unguided"] = {
            name: {**row, "mean_change": float(np.abs(pixels(contestants[name]()) - exact).mean() / 255)}
            for name, row in timed.items()
        }
    if options.out:
        write_json(options.out, report)


if __name__ == "__main__":
    run_stage(main)
