"""Guided sampling measured: against the plain order lever by lever, guided against unguided, growth, approximations.

    python -m benchmarks.sampling --out benchmarks/results/sampling.json
    python -m benchmarks.sampling --shapes sd21_unclip --device cuda --out benchmarks/results/sampling_sd21.json

All contestants of a comparison take turns in one run, on the same weights and seeds; times are seconds, medians count.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from benchmarks.measure import alternate, machine
from benchmarks.plain import Order, Plain, thawed
from src.classifiers.models import build
from src.feedback.classifier_criterion import feedback_value
from src.feedback.guidance import Feedback, Schedule, guide
from src.generators.diffusion_model import Condition, DiffusionModel
from src.generators.loading import load
from src.generators.prediction import Noise
from src.generators.sampler import sample, scheduler
from src.runtime.entry import run_stage
from src.runtime.files import read_bytes, write_json
from src.runtime.seeds import torch_generator
from src.synthesis.cost import flops, matrix_rate
from src.synthesis.plan import PlannedImage, synthesis_plan
from src.synthesis.prompts import Prompts
from src.synthesis.synthesiser import SamplingSettings, Synthesiser

CLASSES, REAL = 10, 20
LEVERS = {
    "batch 1, separate forward": Order(),
    "batched": Order(batch=64),
    "+ conditional half reused": Order(batch=64, reuse=True),
    "+ graph cut at x0_hat": Order(batch=64, reuse=True, split=True),
}
APPROXIMATIONS: dict[str, dict[str, Any]] = {
    "exact": {},
    "stop_gradient": {"stop_gradient": True},
    "half decoder": {"decoder": "half"},
    "tiny decoder": {"decoder": "tiny"},
    "stop_gradient, tiny decoder": {"stop_gradient": True, "decoder": "tiny"},
    "first third only": {"last": "third"},
}


class Bench:
    """A generator, a classifier and a plan. The classifier is untrained: its cost, not its taste, is measured."""

    def __init__(self, model: DiffusionModel, settings: SamplingSettings, schedule: Schedule, images: int) -> None:
        self.model, self.settings, self.schedule = model, settings, schedule
        rng = np.random.default_rng(0)
        edge = model.image_size
        self.real = rng.integers(0, 256, (REAL, edge, edge, 3), dtype=np.uint8)
        labels = np.arange(REAL) % CLASSES
        classifier = build("small_cnn", CLASSES, min(edge, 224), 0)
        feedback = {"criterion": "entropy", "shrinkage": "tied", "rescale": False}
        value = feedback_value(feedback, classifier, self.real, labels, model.device)
        assert value is not None
        self.value = value
        prompts = Prompts(Path("prompts/digits.yaml"))
        self.plan = synthesis_plan(
            np.bincount(labels).tolist(), -(-images // CLASSES), "add", 0, prompts, labels=labels
        )[:images]

    def engine(
        self, plan: Sequence[PlannedImage] | None = None, guided: bool = True, decoder: str = "full", **changes: Any
    ) -> Callable[[], object]:
        """The repository's way, embeddings included."""
        plan, schedule = plan or self.plan, replace(self.schedule, **changes) if changes else self.schedule
        value = self.value if guided else None
        return lambda: Synthesiser(self.model, self.settings, plan, self.real, value, schedule, decoder)(plan)

    def embed(self, part: Sequence[PlannedImage]) -> Condition:
        """The image condition, made anew; noise as the engine draws it, after the dropout's mask."""
        embeddings = self.model.image_embeddings(self.real[[p.source for p in part if p.source is not None]])
        noise = []
        for p in part:
            rng = torch_generator("condition", p.seed)
            torch.rand(embeddings.shape[1], generator=rng)
            noise.append(torch.randn(embeddings.shape[1], generator=rng))
        return self.model.image(embeddings, self.settings.noise_level, torch.stack(noise))

    def plain(self, order: Order) -> Callable[[], Tensor]:
        """The plain way: thawed networks, every batch encodes its own prompts and images."""
        run = Plain(self.model, self.settings, self.schedule, self.value, self.embed)

        def work() -> Tensor:
            with thawed(self.model):
                return run(self.plan, order)

        return work


def compared(contestants: dict[str, Callable[[], object]], repeats: int, base: str) -> dict[str, Any]:
    """Median seconds of each, all times, and the ratio of the base's median to each."""
    times = alternate(contestants, repeats)
    medians = {name: median(values) for name, values in times.items()}
    return {
        name: {"seconds": medians[name], "times": times[name], "speedup": medians[base] / medians[name]}
        for name in contestants
    }


def gradient_cosines(bench: Bench) -> dict[str, float]:
    """Cosine of each approximation's update to the exact one, mean over images and the schedule's steps.

    All are taken at the same latents, those of the unguided trajectory.
    """
    model, plan = bench.model, bench.plan
    maker = Synthesiser(model, bench.settings, plan, bench.real)
    told, untold = maker.condition(plan), model.absent(len(plan), image=True)
    labels = torch.tensor([p.label for p in plan], device=model.device)
    latents: dict[int, Tensor] = {}

    def watched(z: Tensor, t: int, condition: Condition) -> Tensor:
        latents[t] = z[: len(plan)]
        return model.denoise(z, t, condition)

    steps = scheduler(bench.settings.scheduler, model.scheduler_config)
    steps.set_timesteps(bench.settings.steps)
    z = torch.stack([torch.randn(model.latent_shape, generator=torch_generator("latent", p.seed)) for p in plan])
    sample(watched, steps, z.to(model.device), told, untold, labels, bench.settings.guidance_scale)
    updates: dict[str, list[Tensor]] = {name: [] for name in APPROXIMATIONS}
    for i, t in enumerate(steps.timesteps.tolist()):
        if not bench.schedule.guides(i):
            continue
        alpha_bar = float(steps.alphas_cumprod[t])
        noise = Noise(alpha_bar**0.5, (1 - alpha_bar) ** 0.5)
        for name, changes in APPROXIMATIONS.items():
            schedule = replace(bench.schedule, stop_gradient=changes.get("stop_gradient", False))
            feedback = Feedback(bench.value, schedule, model.decoder(changes.get("decoder", "full")))
            kind = model.scheduler_config["prediction_type"]

            def predict(x: Tensor, t: int = t) -> Tensor:
                return model.denoise(x, t, told)

            moved = guide(feedback, kind, predict, latents[t], noise, labels)[1]
            updates[name].append((moved - latents[t]).flatten(1))
    exact = torch.cat(updates["exact"])
    return {name: float(torch.cosine_similarity(exact, torch.cat(u), dim=1).mean()) for name, u in updates.items()}


def approximations(bench: Bench, repeats: int) -> dict[str, Any]:
    """Seconds and cosine of every named approximation; all guide at the schedule's steps."""
    third = bench.settings.steps // 3
    contestants = {"unguided": bench.engine(guided=False)}
    for name, changes in APPROXIMATIONS.items():
        contestants[name] = bench.engine(**{k: third if v == "third" else v for k, v in changes.items()})
    timed = compared(contestants, repeats, "exact")
    cosines = gradient_cosines(bench)
    return {
        name: {
            **values,
            "over_unguided": values["seconds"] / timed["unguided"]["seconds"],
            "cosine_to_exact": cosines.get(name),
            "gflop_per_image": flops(contestants[name]) / len(bench.plan) / 1e9,
        }
        for name, values in timed.items()
    }


def growth(bench: Bench, sizes: Sequence[int], repeats: int) -> list[dict[str, Any]]:
    """Seconds per image for batches of the given sizes."""
    times = alternate({str(n): bench.engine(bench.plan[:n]) for n in sizes}, repeats)
    return [{"batch": n, "seconds_per_image": median(times[str(n)]) / n} for n in sizes]


def resolutions(model: DiffusionModel, bench: Bench, edges: Sequence[int], repeats: int) -> list[dict[str, Any]]:
    """Seconds per image at several image sizes, eight images each."""
    rows, (channels, native, _), size = [], model.latent_shape, model.image_size
    try:
        for edge in edges:
            model.latent_shape, model.image_size = (channels, native * edge // size, native * edge // size), edge
            times = alternate({"": bench.engine(bench.plan[:8])}, repeats)[""]
            rows.append({"pixels": edge, "seconds_per_image": median(times) / 8})
    finally:
        model.latent_shape, model.image_size = (channels, native, native), size
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", choices=("tiny_unclip", "sd21_unclip"), default="tiny_unclip")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device = torch.device(options.device)
    presets = yaml.safe_load(read_bytes("params.yaml"))["generators"]
    if options.shapes == "tiny_unclip":
        model: DiffusionModel = load(presets["tiny_unclip"], device)
    else:
        from benchmarks.shapes import stable_unclip

        model = stable_unclip(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    names = ("scheduler", "steps", "guidance_scale", "noise_level")
    chosen = {n: presets[options.shapes][n] for n in names}
    default = SamplingSettings(**chosen, conditioning="text_image", image_dropout=0)
    schedule = Schedule(0.03, 3, 0, None, "latent")
    thirty = replace(default, scheduler="ddim", steps=30)
    bench = Bench(model, default, schedule, options.images)
    sixth = Bench(model, thirty, replace(schedule, every=5), min(options.images, 16))
    levers: dict[str, Callable[[], object]] = {
        name: bench.plain(replace(order, batch=min(order.batch, options.images))) for name, order in LEVERS.items()
    }
    levers["engine"] = bench.engine()
    exact_cost = flops(bench.engine()) / len(bench.plan)
    report = {
        "machine": machine(),
        "device": str(device),
        "shapes": options.shapes,
        "images": options.images,
        "matrix_gflop_per_second": matrix_rate(device, model.dtype) / 1e9,
        "gflop_per_image": exact_cost / 1e9,
        "against_the_plain_order": compared(levers, options.repeats, "batch 1, separate forward"),
        "every_5th_of_30_steps": approximations(sixth, options.repeats),
        "batch": growth(bench, [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= options.images], options.repeats),
        "resolution": resolutions(model, bench, (32, 64, 96), options.repeats) if device.type == "cpu" else [],
    }
    engine = report["against_the_plain_order"]["engine"]["seconds"] / options.images  # type: ignore[index]
    report["share_of_matrix_rate"] = exact_cost / engine / report["matrix_gflop_per_second"] / 1e9  # type: ignore[operator]
    if options.out:
        write_json(options.out, report)


if __name__ == "__main__":
    run_stage(main)
