"""Frozen networks remember less and say the same: values and gradients are the untouched network's."""

import copy
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from src.generators.frozen_layers import freeze
from tests.generators import parts

CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "plain": {"kernel_size": 3},
    "padded": {"kernel_size": 3, "padding": 1},
    "strided": {"kernel_size": 3, "stride": 2, "padding": 1},
    "uneven": {"kernel_size": (1, 3), "stride": (2, 1), "padding": (0, 1)},
    "grouped": {"kernel_size": 3, "groups": 2},
    "depthwise": {"kernel_size": 3, "groups": 4, "padding": 1},
    "dilated": {"kernel_size": 3, "dilation": 2, "padding": 2},
    "without bias": {"kernel_size": 1, "bias": False},
    "same": {"kernel_size": 3, "padding": "same"},
    "reflected": {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
}


@pytest.fixture(autouse=True)
def seeded() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def gradient(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The output and the gradient of a nonlinear function of it."""
    x = x.clone().requires_grad_()
    out = network(x)
    return out.detach(), torch.autograd.grad((out.sin() * out).sum(), x)[0]


def saved_bytes(work: Callable[[], object]) -> int:
    """What autograd keeps for the backward, each stored tensor once."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        work()
    return sum(kept.values())


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_a_frozen_convolution_has_the_value_and_gradient_of_the_untouched_one(kind: str, channels_last: bool) -> None:
    free = nn.Conv2d(4, 8, **CONVOLUTIONS[kind]).double()
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    if channels_last:
        free, x = (v.to(memory_format=torch.channels_last) for v in (free, x))
    frozen = freeze(copy.deepcopy(free))
    for found, expected in zip(gradient(frozen, x), gradient(free, x), strict=True):
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        assert torch.equal(frozen(x), free(x))


def test_a_real_decoder_and_a_real_unet_keep_their_values_and_gradients() -> None:
    vae, unet = parts.autoencoder().double(), parts.unet(attention_head_dim=4).double()
    z, states = torch.randn(2, 4, 8, 8, dtype=torch.float64), torch.randn(2, 5, 32, dtype=torch.float64)
    for network, run in (
        (vae, lambda network: lambda x: network.decode(x).sample),
        (unet, lambda network: lambda x: network(x, 10, states).sample),
    ):
        frozen = freeze(copy.deepcopy(network))
        for found, expected in zip(gradient(run(frozen), z), gradient(run(network.eval()), z), strict=True):
            assert (found - expected).norm() <= 1e-12 * expected.norm()
        assert not any(parameter.requires_grad for parameter in frozen.parameters()) and not frozen.training


def test_in_bfloat16_gradients_are_finite_and_near_those_in_float32() -> None:
    exact = freeze(parts.autoencoder())
    rough = freeze(copy.deepcopy(exact).to(torch.bfloat16))
    z = torch.randn(2, 4, 8, 8)
    _, expected = gradient(lambda x: exact.decode(x).sample, z)
    _, found = gradient(lambda x: rough.decode(x).sample.float(), z.to(torch.bfloat16))
    assert found.dtype == torch.bfloat16
    assert torch.nn.functional.cosine_similarity(found.float().flatten(), expected.flatten(), dim=0) > 0.99


def test_a_frozen_convolution_keeps_its_weight_and_not_its_input() -> None:
    free = nn.Conv2d(4, 8, 3).requires_grad_(False)
    frozen = freeze(copy.deepcopy(free))
    x = torch.randn(2, 4, 32, 32, requires_grad=True)
    weight, input_ = (4 * tensor.numel() for tensor in (free.weight, x))
    assert saved_bytes(lambda: free(x)) == weight + input_
    assert saved_bytes(lambda: frozen(x)) == weight


def test_the_input_of_a_frozen_convolution_is_gone_once_nobody_else_holds_it() -> None:
    frozen, x = freeze(nn.Conv2d(4, 8, 3)), torch.randn(1, 4, 8, 8, requires_grad=True)
    between = x + 1
    seen = weakref.ref(between)
    out = frozen(between)
    del between
    assert seen() is None and out.requires_grad


def test_a_decoder_with_frozen_convolutions_saves_less_for_its_backward() -> None:
    def kept(vae: Any) -> int:
        z = torch.randn(1, 4, 16, 16, requires_grad=True)
        return saved_bytes(lambda: vae.decode(z).sample)

    free = parts.autoencoder().requires_grad_(False).eval()
    assert kept(freeze(copy.deepcopy(free))) < 0.8 * kept(free)


def test_a_copy_of_a_frozen_network_runs_on_its_own_weights() -> None:
    original = freeze(nn.Sequential(nn.Conv2d(1, 1, 1, bias=False)))
    other = copy.deepcopy(original)
    other[0].weight.zero_()
    x = torch.ones(1, 1, 2, 2)
    assert not other(x).any() and original(x).any()


def test_freezing_twice_is_freezing_once() -> None:
    network = freeze(freeze(nn.Sequential(nn.Conv2d(4, 4, 3))))
    free = nn.Sequential(nn.Conv2d(4, 4, 3))
    free.load_state_dict(network.state_dict())
    x = torch.randn(1, 4, 8, 8)
    for found, expected in zip(gradient(network, x), gradient(free, x), strict=True):
        assert torch.equal(found, expected)
