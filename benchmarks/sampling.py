"""Guided sampling measured: against the plain order lever by lever, guided against unguided, growth, approximations.

    python -m benchmarks.sampling --out benchmarks/results/sampling.json
    python -m benchmarks.sampling --shapes sd21_unclip --device cuda --out benchmarks/results/sampling_sd21.json

All contestants of a comparison take turns in one run, on the same weights and seeds; times are seconds, medians count.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import alternate, command_line, compared, machine, preset
from benchmarks.plain import Order, Plain, thawed
from src.classifiers.models import build
from src.data.names import Names
from src.feedback.classifier_criterion import feedback_value
from src.feedback.guidance import Feedback
from src.generators.diffusion_model import DiffusionModel
from src.generators.loading import load
from src.generators.sampler import ClassifierFreeGuidance, Condition, Step, sample, scheduler
from src.runtime.entry import run_stage
from src.runtime.files import write_json
from src.runtime.seeds import torch_generator
from src.settings.sections import Budget, FeedbackSettings, GeneratorSettings
from src.synthesis.conditioning import Conditioning
from src.synthesis.cost import flops, matrix_rate
from src.synthesis.plan import PlannedImage, synthesis_plan
from src.synthesis.prompts import Prompts
from src.synthesis.synthesiser import Synthesiser

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

    def __init__(
        self, model: DiffusionModel, settings: GeneratorSettings, feedback: FeedbackSettings, images: int
    ) -> None:
        self.model, self.settings, self.feedback = model, settings, feedback
        edge, labels = model.image_size, np.arange(REAL) % CLASSES
        self.real = np.random.default_rng(0).integers(0, 256, (REAL, edge, edge, 3), dtype=np.uint8)
        classifier = build("small_cnn", CLASSES, min(edge, 224), 0)
        value = feedback_value(feedback, [classifier], self.real, labels, model.device)
        assert value is not None
        self.value = value
        prompts = Prompts(Path("prompts/digits.yaml"))
        budget = Budget(
            per_class=-(-images // CLASSES), fill="add", balance="class", name_context=False, empty_group="class"
        )
        names = Names(prompts.classes)
        self.plan = synthesis_plan(budget, labels, None, names, 0, prompts, conditioned=True, modified=False)[:images]

    def listening(self, **changes: Any) -> Feedback:
        """The feedback with some of its settings changed."""
        feedback = replace(self.feedback, **changes)
        return Feedback(self.value, feedback, self.model.decoder(feedback.decoder))

    def conditioning(self, plan: Sequence[PlannedImage]) -> Conditioning:
        return Conditioning(self.model, plan, "text_image", 0.0, "mean", self.settings.noise_level, self.real)

    def engine(
        self, plan: Sequence[PlannedImage] | None = None, guided: bool = True, **changes: Any
    ) -> Callable[[], object]:
        """The repository's way, embeddings included."""
        plan = plan or self.plan

        def work() -> object:
            guide = self.listening(**changes) if guided else None
            return Synthesiser(self.model, self.settings, plan, self.conditioning(plan), guide)(plan)

        return work

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
        run = Plain(self.model, self.settings, self.feedback, self.value, self.embed)

        def work() -> Tensor:
            with thawed(self.model):
                return run(self.plan, order)

        return work


@torch.no_grad()
def gradient_cosines(bench: Bench) -> dict[str, float]:
    """Cosine of each approximation's update to the exact one, mean over images and the schedule's steps.

    All are taken at the same latents, those of the unguided trajectory.
    """
    model, plan, conditioning = bench.model, bench.plan, bench.conditioning(bench.plan)
    schedule = scheduler(bench.settings.scheduler, model.scheduler_config)
    schedule.set_timesteps(bench.settings.steps)
    denoiser = ClassifierFreeGuidance(
        model.denoise, schedule.config.prediction_type, conditioning(plan), conditioning.absent(len(plan)),
        bench.settings.guidance_scale,
    )  # fmt: skip
    labels = torch.tensor([p.label for p in plan], device=model.device)
    passed: list[tuple[Tensor, Step]] = []

    def watched(z: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        passed.append((z, step))
        return denoiser(z, step)

    z = torch.stack([torch.randn(model.latent_shape, generator=torch_generator("latent", p.seed)) for p in plan])
    sample(watched, schedule, z.to(model.device))
    updates: dict[str, list[Tensor]] = {}
    for name, changes in APPROXIMATIONS.items():
        feedback = bench.listening(**{key: value for key, value in changes.items() if key != "last"})
        predict, _ = feedback.wrap(denoiser, labels)
        guided = [(z, step) for z, step in passed if bench.feedback.guides(step.number)]
        updates[name] = [(predict(z, step)[1] - z).flatten(1) for z, step in guided]
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
    parser = command_line(__doc__)
    parser.add_argument("--shapes", choices=("tiny_unclip", "sd21_unclip"), default="tiny_unclip")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    device = torch.device(options.device)
    settings = preset(GeneratorSettings, "generators", options.shapes)
    feedback = replace(preset(FeedbackSettings, "feedbacks", "entropy"), scale=0.03, every=3)
    if options.shapes == "tiny_unclip":
        model: DiffusionModel = load(settings, device)
    else:
        from benchmarks.shapes import stable_unclip

        model = stable_unclip(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    bench = Bench(model, settings, feedback, options.images)
    thirty = replace(settings, scheduler="ddim", steps=30)
    sixth = Bench(model, thirty, replace(feedback, every=5), min(options.images, 16))
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
