"""The opt-in approximations of the gradient: where each is exact, what it spares, how far it is off elsewhere."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from src.generators.diffusion_model import DiffusionModel
from src.generators.prediction import PREDICTION_TYPES, Noise, x0_hat
from tests.feedback import fakes
from tests.feedback.fakes import Listener, guide, scheduled
from tests.feedback.reference import criterion_gradient

T = 400
A_S = st.floats(0.05, 0.999).map(lambda a: Noise(a, (1 - a**2) ** 0.5))
KINDS = st.sampled_from(PREDICTION_TYPES)


def of_constant_noise(kind: str, z: Tensor, eps: Tensor, noise: Noise) -> Tensor:
    """The output of a network that always estimates the same noise, whatever the latents."""
    x0 = (z - noise.s * eps) / noise.a
    return {"epsilon": eps + 0 * z, "v_prediction": noise.a * eps - noise.s * x0, "sample": x0}[kind]


def gradients(kind: str, noise: Noise, predict, mix: bool = False) -> dict[bool, Tensor]:
    """What guidance makes of a criterion's gradient, exact (False) and stopped (True): the score rule's own g."""
    found = {}
    for stop in (False, True):
        inputs, listens = fakes.batch(3), fakes.feedback(1.0, "score", mix=mix, stop_gradient=stop)
        _, _, added = guide(listens, kind, predict, inputs["z"], noise, inputs["labels"])
        found[stop] = added
    return found


@given(KINDS, A_S, st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_stopped_gradient_is_exact_where_the_noise_estimate_ignores_the_latents(
    kind: str, noise: Noise, mix: bool
) -> None:
    eps = torch.randn(fakes.batch(3)["z"].shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    found = gradients(kind, noise, lambda z: of_constant_noise(kind, z, eps, noise), mix)
    assert found[False].any()
    assert (found[True] - found[False]).abs().max() <= 1e-12 * found[False].abs().max()


@given(KINDS, A_S, st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_stopped_gradient_is_the_gradient_at_the_view_times_what_its_table_says(
    kind: str, noise: Noise, mix: bool
) -> None:
    inputs, (a, s) = fakes.batch(3), (noise.a, noise.s)
    x0 = x0_hat(kind, inputs["z"], fakes.denoise(inputs["z"], T, inputs["condition"]), noise)
    seen = s * x0 + (1 - s) * inputs["z"] if mix else x0
    at_seen = criterion_gradient(lambda x: fakes.value(fakes.decode(x), inputs["labels"]), seen)
    g = at_seen * (s / a + (1 - s) if mix else 1 / a)
    expected = {"epsilon": -s, "v_prediction": -s / a, "sample": s**2 / a}[kind] * g
    found = gradients(kind, noise, lambda z: fakes.denoise(z, T, inputs["condition"]), mix)[True]
    assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.parametrize("stop", [False, True])
def test_a_stopped_gradient_builds_no_graph_through_the_network(stop: bool) -> None:
    inputs, graphs = fakes.batch(3), []

    def predict(z: Tensor) -> Tensor:
        output = fakes.denoise(z, T, inputs["condition"])
        graphs.append(torch.is_grad_enabled() or z.requires_grad or output.requires_grad)
        return output

    with torch.no_grad():
        listens = fakes.feedback(0.1, stop_gradient=stop)
        guide(listens, "epsilon", predict, inputs["z"], Noise(0.6, 0.8), inputs["labels"])
    assert graphs == [not stop]
    assert listens.trace.updates.tolist() == [1, 1, 1]


def directions(decode, value, stop: bool = False) -> Tensor:
    """Unit updates (B, N) of the latents of the fakes' batch."""
    inputs, schedule = fakes.batch(3), scheduled(1.0, 1, 0, None, "latent", stop_gradient=stop)

    def predict(z: Tensor) -> Tensor:
        return fakes.denoise(z, T, inputs["condition"])

    z, labels = inputs["z"], inputs["labels"]
    moved = guide(Listener(value, schedule, decode), "epsilon", predict, z, Noise(0.6, 0.8), labels)[1]
    update = (moved - z).flatten(1)
    return update / update.norm(dim=1, keepdim=True)


class Pixelwise(DiffusionModel):
    """A generator whose decoder maps each latent to a pixel linearly, so that averaging before or after is one."""

    def __init__(self) -> None:
        pass

    def decode(self, z: Tensor) -> Tensor:
        return F.conv2d(z, fakes.TO_PIXELS)


class Tanh(Pixelwise):
    """Its decoder is not linear: an average is decoded to something else."""

    def decode(self, z: Tensor) -> Tensor:
        return fakes.decode(z)


def coarse(images: Tensor, labels: Tensor) -> Tensor:
    """A criterion of 2 x 2 averages, whatever the images' size."""
    told = F.adaptive_avg_pool2d(images, 2).flatten(1) @ fakes.TO_LOGITS[:, :12].T
    return F.cross_entropy(4 * told, labels, reduction="none")


def fine(images: Tensor, labels: Tensor) -> Tensor:
    """A criterion of single pixels, of images enlarged to 4 x 4 where they are smaller."""
    return fakes.value(F.interpolate(images, size=(4, 4), mode="nearest"), labels)


@pytest.mark.parametrize("stop", [False, True])
def test_the_half_decoder_is_exact_for_a_decoder_that_keeps_averages_and_a_classifier_that_takes_them(
    stop: bool,
) -> None:
    full, half = (Pixelwise().decoder(name) for name in ("full", "half"))
    assert half(torch.zeros(1, *fakes.SHAPE).double()).shape[-2:] == (2, 2)
    assert (directions(full, coarse, stop) - directions(half, coarse, stop)).abs().max() <= 1e-12


@pytest.mark.parametrize(("generator", "value"), [(Pixelwise(), fine), (Tanh(), coarse)])
def test_elsewhere_the_half_decoder_is_an_approximation_that_still_climbs(generator: DiffusionModel, value) -> None:
    exact, half = (directions(generator.decoder(name), value) for name in ("full", "half"))
    cosine = (exact * half).sum(1)
    assert (cosine > 0).all() and (cosine < 0.9999).all()
