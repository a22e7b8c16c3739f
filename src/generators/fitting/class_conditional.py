"""Generators of one step, from noise and a class: a variational autoencoder and a GAN, rivals under the same protocol.

Kingma & Welling (ICLR 2014); Miyato & Koyama (ICLR 2018): a projection discriminator; Mescheder et al. (ICML 2018): the
logistic loss and its penalty R1. One network makes the images of both; they are trained on the images at hand alone.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from src.generators.diffusion_model import DiffusionModel
from src.generators.fitting.task import FitTask
from src.generators.tiny.optimise import optimise
from src.runtime.errors import InputError
from src.runtime.seeds import derive, torch_seeded
from src.shards.pixels import to_tensor

GAMMA = 1.0  # weight of R1


class Generator(nn.Module):
    """Noise (B, inputs) and classes to images: convolutions on an image that doubles, scaled and shifted by class."""

    def __init__(self, classes: int, edge: int, inputs: int = 64) -> None:
        super().__init__()
        self.shape = (inputs,)
        self.widths = (64, *(max(64 >> k, 16) for k in range(int(math.log2(edge)) - 2)))
        self.start = nn.Linear(inputs, 16 * self.widths[0])
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(self.widths))
        self.norms = nn.ModuleList(nn.GroupNorm(8, width, affine=False) for width in self.widths[:-1])
        styles = [nn.Embedding(classes, 2 * width) for width in self.widths[:-1]]
        self.end = nn.Conv2d(self.widths[-1], 3, 3, padding=1)
        for table in styles:
            nn.init.normal_(table.weight, 0, 0.1)
        self.styles = nn.ModuleList(styles)

    def forward(self, u: Tensor, labels: Tensor) -> Tensor:
        """Images (B, 3, H, H) in (-1, 1)."""
        x = self.start(u).view(len(u), -1, 4, 4)
        for layer, norm, style in zip(self.layers, self.norms, self.styles, strict=True):
            scale, shift = style(labels)[:, :, None, None].chunk(2, 1)
            x = F.interpolate(F.relu(norm(x) * (1 + scale) + shift), scale_factor=2.0, mode="nearest")
            x = layer(x)
        return torch.tanh(self.end(F.relu(x)))


class ClassConditionalVae(nn.Module):
    """(x, y) -> q(u | x, y), a Gaussian of 64 dimensions, and (u, y) -> x, by the network of the GAN.

    Its decoder is told the class beside u as well: u alone says enough of an image for the class to go unheeded.
    """

    shape = (64,)

    def __init__(self, classes: int, edge: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, 2, padding=1) for a, b in pairwise(_widths(edge)))
        self.classes = nn.Embedding(classes, _widths(edge)[-1])
        self.told = nn.Embedding(classes, self.shape[0])
        self.decoder = Generator(classes, edge, 2 * self.shape[0])
        self.moments = nn.Linear(16 * _widths(edge)[-1], 2 * self.shape[0])

    def encode(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance (B, 64) of q."""
        for layer in self.layers:
            x = F.silu(layer(x))
        mean, log_variance = self.moments((x + self.classes(labels)[:, :, None, None]).flatten(1)).chunk(2, 1)
        return mean, log_variance.clamp(-10, 10)

    def forward(self, u: Tensor, labels: Tensor) -> Tensor:
        """Images (B, 3, H, H) of noise (B, 64)."""
        return self.decoder(torch.cat([u, self.told(labels)], 1), labels)


class Discriminator(nn.Module):
    """How real images of a class look: phi(x) . e_y + psi(x)."""

    def __init__(self, classes: int, edge: int) -> None:
        super().__init__()
        widths = _widths(edge)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, 2, padding=1) for a, b in pairwise(widths))
        self.psi = nn.Linear(16 * widths[-1], 1)
        self.classes = nn.Embedding(classes, 16 * widths[-1])
        nn.init.normal_(self.classes.weight, 0, 0.02)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """(B,), positive for real."""
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        phi = x.flatten(1)
        return (phi * self.classes(labels)).sum(1) + self.psi(phi)[:, 0]


def fit_vae(task: FitTask, load: Callable[[], DiffusionModel]) -> dict[str, Tensor]:
    """The tensors of a trained ClassConditionalVae: squared error, and kl times the divergence, both per pixel."""
    vae = _new("vae", task)

    def loss_at(step: int) -> Tensor:
        x, y, draws = _batch(task, "vae", step)
        mean, log_variance = vae.encode(x, y)
        u = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=draws).to(x)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
        return F.mse_loss(vae(u, y), x) + task.settings.kl * divergence / x[0].numel()

    optimise([vae], loss_at, task.settings, task.checkpoint, "VAE")
    return {name: value.cpu() for name, value in vae.state_dict().items()}


def fit_gan(task: FitTask, load: Callable[[], DiffusionModel]) -> dict[str, Tensor]:
    """The tensors of a trained Generator. Both networks step at once, each against the other as it was."""
    generator = _new("gan", task)
    with torch_seeded(derive("discriminator", task.seed)):
        discriminator = Discriminator(task.classes, _edge(task)).to(task.device)

    def loss_at(step: int) -> Tensor:
        x, y, draws = _batch(task, "gan", step)
        made = generator(torch.randn(len(x), *generator.shape, generator=draws).to(x), y)
        real = discriminator(x.requires_grad_(), y)
        slope = torch.autograd.grad(real.sum(), x, create_graph=True)[0]
        critic = F.softplus(-real).mean() + F.softplus(discriminator(made.detach(), y)).mean()
        still = {name: value.detach() for name, value in discriminator.named_parameters()}
        fooled = F.softplus(-functional_call(discriminator, still, (made, y))).mean()
        return critic + GAMMA / 2 * slope.square().sum((1, 2, 3)).mean() + fooled

    optimise([generator, discriminator], loss_at, task.settings, task.checkpoint, "GAN", betas=(0.0, 0.99))
    return {name: value.cpu() for name, value in generator.state_dict().items()}


NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {"vae": ClassConditionalVae, "gan": Generator}


def network(method: str, classes: int, edge: int, tensors: Mapping[str, Tensor]) -> nn.Module:
    """The fitted network, frozen: `(noise (B, *shape), labels (B,)) -> images (B, 3, edge, edge)`."""
    model = NETWORKS[method](classes, edge)
    model.load_state_dict(dict(tensors))
    return model.eval().requires_grad_(False)


def _widths(edge: int) -> tuple[int, ...]:
    """Channels from an image of `edge` pixels down to one of 4."""
    return (3, *(min(16 << k, 64) for k in range(int(math.log2(edge)) - 2)))


def _new(method: str, task: FitTask) -> Any:
    with torch_seeded(derive(method, task.seed)):
        return NETWORKS[method](task.classes, _edge(task)).to(task.device)


def _edge(task: FitTask) -> int:
    edge = task.images.shape[1]
    if edge < 16 or edge & (edge - 1):
        raise InputError(f"a VAE or GAN here makes images of 16, 32, 64, ... pixels, not {edge}; set image_size to one")
    return edge


def _batch(task: FitTask, purpose: str, step: int) -> tuple[Tensor, Tensor, torch.Generator]:
    chosen, draws = task.draw(purpose, step)
    labels = torch.from_numpy(task.labels[chosen]).to(task.device)
    return to_tensor(task.images[chosen]).to(task.device), labels, draws
