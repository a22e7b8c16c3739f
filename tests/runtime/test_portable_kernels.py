"""The replaced kernels give what torch's give, to rounding, in every form in which they are asked for."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from src.runtime import portable_kernels

portable_kernels.use_portable_kernels()


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_square_roots_are_correctly_rounded_in_every_form(dtype: torch.dtype) -> None:
    x = torch.rand(100, 33, dtype=dtype, generator=torch.Generator().manual_seed(0))[:, ::2]
    expected = np.sqrt(x.numpy())
    for root in (
        x.sqrt(), x**0.5, x.clone().sqrt_(), x.clone().pow_(0.5), torch.sqrt(x, out=torch.empty(0, dtype=dtype)),
        torch.pow(x, 0.5, out=torch.empty(0, dtype=dtype)), torch._foreach_sqrt([x])[0],
    ):  # fmt: skip
        np.testing.assert_array_equal(root.numpy(), expected)
    np.testing.assert_array_equal(x**3, x * x * x)
    single, negative = torch.tensor(4.0, dtype=dtype, requires_grad=True), torch.tensor(-1.0, dtype=dtype)
    single.sqrt().backward()
    assert single.grad == 0.25
    assert negative.sqrt().isnan()


def test_square_roots_of_other_numbers_are_torchs() -> None:
    assert torch.tensor([4], dtype=torch.int64).sqrt().dtype == torch.float32
    assert torch.tensor([4.0], dtype=torch.bfloat16).sqrt() == 2
    assert torch.tensor([-4 + 0j]).sqrt().imag == 2
    assert torch.empty(3, device="meta").sqrt().shape == (3,)


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes (m, k, n) of the products that became convolutions."""
    made: list[tuple[int, ...]] = []
    whole = torch.conv2d

    def counted(image: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
        made.append((image.shape[3], *kernels.shape[1::-1]))
        return whole(image, kernels, bias)

    monkeypatch.setattr(portable_kernels.torch, "conv2d", counted)
    return made


@pytest.mark.parametrize("shape", [(1024, 96, 384), (300, 100, 16), (257, 2048, 30)])
def test_large_products_of_floats_are_those_of_doubles_to_rounding(shape, products) -> None:
    m, k, n = shape
    a, b, bias = draw(m, k), draw(k, n), draw(n)
    exact, bound = a.double() @ b.double(), k * 2**-24 * (a.abs().double() @ b.abs().double())
    for product, extra in ((a @ b, 0), (torch.addmm(bias, a, b), bias), (a @ b.t().contiguous().t(), 0)):
        assert product.is_contiguous()
        assert bool(((product.double() - exact - extra).abs() <= bound + 1e-6).all())
    assert products == [shape] * 3


def test_a_linear_layer_has_the_gradients_of_doubles(products) -> None:
    layer, x = nn.Linear(96, 64), draw(8, 128, 96).requires_grad_()
    layer(x).square().sum().backward()
    assert products == [(1024, 96, 64), (1024, 64, 96)]  # forward, and the input's gradient
    found = [x.grad, layer.weight.grad, layer.bias.grad]
    layer, x = layer.double(), x.detach().double().requires_grad_()
    layer.zero_grad()
    layer(x).square().sum().backward()
    for one, other in zip(found, (x.grad, layer.weight.grad, layer.bias.grad), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (draw(255, 100), draw(100, 64)), (draw(1024, 20), draw(20, 64)), (draw(1024, 96), draw(96, 15)),
        (draw(256, 2049), draw(2049, 16)), (draw(96, 1024).t(), draw(96, 64)),
        (draw(1024, 96).double(), draw(96, 64).double()), (draw(1024, 96).bfloat16(), draw(96, 64).bfloat16()),
    ],
)  # fmt: skip
def test_other_products_are_torchs(a, b, products) -> None:
    assert (a @ b).shape == (len(a), b.shape[1])
    assert products == []


def test_products_that_do_not_fit_together_are_refused_as_by_torch(products) -> None:
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        draw(1024, 96) @ draw(95, 64)
    with pytest.raises(RuntimeError):
        torch.addmm(draw(63), draw(1024, 96), draw(96, 64))
    assert torch.equal(torch.addmm(draw(64), draw(1024, 96), draw(96, 64), alpha=0), draw(64).expand(1024, 64))
    assert products == []
