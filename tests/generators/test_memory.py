"""How many images fit: as many as their share of free memory allows, at least one, at most as many as there are."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src.generators.diffusion_model import DiffusionModel
from src.synthesis import memory
from src.synthesis.memory import DECODER_SHARE, NETWORK_SHARE, Fit, fit, measured_fit

GB = 10**9
BYTES = st.integers(0, 200 * GB)
COUNTS = st.integers(1, 2000)


@given(BYTES, BYTES, BYTES, COUNTS)
def test_at_least_one_image_fits_and_at_most_as_many_as_there_are(
    free: int, network: int, decoder: int, largest: int
) -> None:
    found = fit(free, network, decoder, largest)
    assert 1 <= found.micro_batch <= found.batch <= largest


@given(BYTES, st.integers(1, 50 * GB), st.integers(1, 50 * GB), COUNTS)
def test_batches_fill_their_share_of_free_memory_and_no_more(
    free: int, network: int, decoder: int, largest: int
) -> None:
    found = fit(free, network, decoder, largest)
    assert found.batch == 1 or found.batch * network <= NETWORK_SHARE * free
    assert found.batch == largest or (found.batch + 1) * network > NETWORK_SHARE * free
    assert found.micro_batch == 1 or found.micro_batch * decoder <= DECODER_SHARE * free
    assert found.micro_batch == found.batch or (found.micro_batch + 1) * decoder > DECODER_SHARE * free
    assert NETWORK_SHARE + DECODER_SHARE < 1  # both are held at once


@given(BYTES, BYTES, BYTES, BYTES, COUNTS)
def test_more_memory_or_cheaper_images_never_make_a_batch_smaller(
    free: int, more: int, network: int, decoder: int, largest: int
) -> None:
    found = fit(free, network, decoder, largest)
    for better in (
        fit(free + more, network, decoder, largest),
        fit(free, network // 2, decoder // 2, largest),
        fit(free, network, decoder, largest + 1),
    ):
        assert better.batch >= found.batch and better.micro_batch >= found.micro_batch


def test_the_sizes_of_sd_21_at_768_pixels_fit_an_h200_in_dozens() -> None:
    assert fit(125 * GB, int(1.63 * GB), int(4.16 * GB), 1000) == Fit(batch=34, micro_batch=10)


def test_on_a_cpu_nothing_is_measured_and_nothing_is_limited() -> None:
    model: Any = SimpleNamespace(device=torch.device("cpu"))
    assert measured_fit(model, lambda z: z, {}, 60, True) == Fit(60, 60)


def test_on_a_gpu_what_one_image_takes_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = SimpleNamespace(device=torch.device("cuda"))
    taken = iter([2 * GB, 5 * GB])
    monkeypatch.setattr(memory, "peak_bytes", lambda work, device: next(taken))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100 * GB, 140 * GB))
    assert measured_fit(model, lambda z: z, {}, 60, True) == fit(100 * GB, 2 * GB, 5 * GB, 60) == Fit(22, 7)


@pytest.mark.parametrize("guided", [True, False])
def test_what_is_measured_is_one_denoising_and_one_decoding_and_their_gradients_under_guidance_alone(
    miniature: DiffusionModel, monkeypatch: pytest.MonkeyPatch, guided: bool
) -> None:
    """On a CPU in a GPU's place."""
    seen: list[tuple[str, tuple[int, ...]]] = []
    gradients: list[torch.Tensor] = []

    def spy(name: str, network: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def told(z: torch.Tensor, *others: Any) -> torch.Tensor:
            seen.append((name, tuple(z.shape)))
            assert torch.is_grad_enabled() == z.requires_grad == guided
            if guided:
                z.register_hook(gradients.append)
            return network(z, *others)

        return told

    def peak(work: Callable[[], object], device: torch.device) -> int:
        work()
        assert device.type == "cuda"
        return {"denoise": 2 * GB, "decode": 5 * GB}[seen[-1][0]]

    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *size, device=None, **how: zeros(*size, **how))
    monkeypatch.setattr(memory, "peak_bytes", peak)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100 * GB, 140 * GB))
    model: Any = SimpleNamespace(
        device=torch.device("cuda"), latent_shape=miniature.latent_shape, denoise=spy("denoise", miniature.denoise)
    )
    found = measured_fit(model, spy("decode", miniature.decode), miniature.absent(1, image=True), 60, guided)
    assert found == fit(100 * GB, 2 * GB, 5 * GB, 60) == Fit(22, 7)
    one = (1, *miniature.latent_shape)
    assert seen == [("denoise", one), ("decode", one)]
    assert [gradient.shape for gradient in gradients] == [one, one] * guided
    assert all(g.abs().max() > 0 for g in gradients)
