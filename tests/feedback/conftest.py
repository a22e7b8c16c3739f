"""The random-weight generators of the generators' tests in other number formats, and as diffusers itself runs them."""

import pytest
import torch
from torch import nn

from src.generators.diffusion_model import DiffusionModel
from src.generators.loading import quiet
from tests.generators import miniatures
from tests.generators.miniatures import load

FORMATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def in_format(preset: miniatures.Preset, dtype: torch.dtype) -> DiffusionModel:
    """The generator with its networks in `dtype`, formats included that `load` refuses on a CPU."""
    made = load(preset, torch.device("cpu"))
    made.dtype = made.decoder_dtype = dtype
    with quiet():
        for part in (made.pipeline.unet, made.pipeline.vae):
            part.to(dtype)
    return made


@pytest.fixture(scope="session")
def unclip(tmp_path_factory: pytest.TempPathFactory) -> miniatures.Preset:
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(0)
        return miniatures.unclip(tmp_path_factory.mktemp("feedback") / "unclip")


@pytest.fixture(scope="session")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> DiffusionModel:
    """In float64, with its IP-Adapter."""
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(0)
        preset = miniatures.stable_diffusion_xl(tmp_path_factory.mktemp("feedback") / "sdxl")
    return in_format(preset, torch.float64)


@pytest.fixture(scope="session")
def formats(unclip: miniatures.Preset) -> dict[torch.dtype, DiffusionModel]:
    """As production holds it, in each number format that its networks may run in, and in float64."""
    return {dtype: in_format(unclip, dtype) for dtype in FORMATS}


@pytest.fixture(scope="session")
def frozen(formats: dict[torch.dtype, DiffusionModel]) -> DiffusionModel:
    return formats[torch.float64]


@pytest.fixture(scope="session")
def thawed(unclip: miniatures.Preset) -> DiffusionModel:
    """In float64 with PyTorch's own convolutions, which keep their inputs, and weights that ask for gradients."""
    made = in_format(unclip, torch.float64)
    for part in (made.pipeline.unet, made.pipeline.vae):
        part.requires_grad_(True)
        for module in part.modules():
            if isinstance(module, nn.Conv2d):
                del module.forward
    return made
