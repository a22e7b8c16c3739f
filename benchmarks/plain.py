"""The released algorithm's order of work (arXiv 2310.00158), written plainly: what the engine is measured against.

A step predicts with and without the condition. A guided step predicts once more under a gradient, through decoder and
classifier in one graph. The numbers are those of src.feedback; only the order of work differs, and `Order` changes it
lever by lever into the engine's.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from src.feedback.update_rules import per_sample
from src.generators.diffusion_model import DiffusionModel
from src.generators.prediction import x0_hat
from src.generators.sampler import Condition, Step, scheduler, steps_of
from src.runtime.seeds import torch_generator
from src.settings.sections import FeedbackSettings, GeneratorSettings
from src.synthesis.plan import PlannedImage


@dataclass(frozen=True)
class Order:
    """Which of the exact levers are pulled: images per batch; the guided forward reused as the step's conditional
    half; the graph cut at x0_hat."""

    batch: int = 1
    reuse: bool = False
    split: bool = False


class Plain:
    """Samples planned images in one order of work, encoding text and image anew for every batch."""

    def __init__(
        self, model: DiffusionModel, settings: GeneratorSettings, feedback: FeedbackSettings,
        value: Callable[[Tensor, Tensor], Tensor], embeddings: Callable[[Sequence[PlannedImage]], Condition],
    ) -> None:  # fmt: skip
        """embeddings: the image condition of planned images."""
        self.model, self.settings, self.feedback, self.value = model, settings, feedback, value
        self.embeddings = embeddings

    def __call__(self, plan: Sequence[PlannedImage], order: Order) -> Tensor:
        """Images (N, 3, H, W) of the plan."""
        parts = [plan[i : i + order.batch] for i in range(0, len(plan), order.batch)]
        return torch.cat([self._batch(part, order) for part in parts])

    def _batch(self, part: Sequence[PlannedImage], order: Order) -> Tensor:
        model = self.model
        condition = {**model.text([p.prompt for p in part]), **self.embeddings(part)}
        absent = model.absent(len(part), image=True)
        schedule = scheduler(self.settings.scheduler, model.scheduler_config)
        schedule.set_timesteps(self.settings.steps)
        z = torch.stack([torch.randn(model.latent_shape, generator=torch_generator("latent", p.seed)) for p in part])
        z = z.to(model.device) * schedule.init_noise_sigma
        labels = torch.tensor([p.label for p in part], device=model.device)
        for step in steps_of(schedule):
            guided = self.feedback.guides(step.number)
            moved, conditional = self._guide(z, step, condition, labels, order) if guided else (z, None)
            combined = self._combined(z, step.t, condition, absent, conditional if order.reuse else None)
            z = schedule.step(combined, step.t, moved).prev_sample
        with torch.no_grad():
            return model.decode(z)

    @torch.no_grad()
    def _combined(self, z: Tensor, t: int, condition: Condition, absent: Condition, reused: Tensor | None) -> Tensor:
        if reused is None:
            both = {name: torch.cat([value, condition[name]]) for name, value in absent.items()}
            without, reused = self.model.denoise(torch.cat([z, z]), t, both).chunk(2)
        else:
            without = self.model.denoise(z, t, absent)
        return without + self.settings.guidance_scale * (reused - without)

    def _guide(
        self, z: Tensor, step: Step, condition: Condition, labels: Tensor, order: Order
    ) -> tuple[Tensor, Tensor]:
        """Latents moved by the latent rule, and the conditional output on the way."""
        with torch.enable_grad():
            leaf = z.detach().requires_grad_()
            output = self.model.denoise(leaf, step.t, condition)
            x0 = x0_hat(self.model.scheduler_config["prediction_type"], leaf, output, step.noise)
            if order.split:
                cut = x0.detach().requires_grad_()
                (at_x0,) = torch.autograd.grad(self.value(self.model.decode(cut), labels).sum(), cut)
                (g,) = torch.autograd.grad(x0, leaf, grad_outputs=at_x0)
            else:
                (g,) = torch.autograd.grad(self.value(self.model.decode(x0), labels).sum(), leaf)
        length = self.feedback.scale * z.flatten(1).norm(dim=1) / g.flatten(1).norm(dim=1)
        return z + per_sample(length, z) * g, output.detach()


@contextmanager
def thawed(model: DiffusionModel) -> Iterator[None]:
    """The networks as the library made them: convolutions that store their inputs."""
    patched = [
        (module, module.__dict__.pop("forward"))
        for name in model.parts
        for module in getattr(model.pipeline, name).modules()
        if isinstance(module, nn.Conv2d) and "forward" in module.__dict__
    ]
    try:
        yield
    finally:
        for module, forward in patched:
            module.forward = forward
