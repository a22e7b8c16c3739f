"""A Stable unCLIP with random weights, small enough to sample from in a blink."""

from pathlib import Path

import pytest
import torch
from diffusers import StableUnCLIPImg2ImgPipeline
from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
from transformers import CLIPTextModel

from src.generators.tiny import components
from src.generators.tiny.corpus import CLASSES, SIZE, WORDS
from src.generators.unclip import UnCLIP, load
from tests.generators.scene import Scene, make_scene

SIZES = {
    "text_width": 32,
    "text_layers": 1,
    "vision_width": 32,
    "vision_layers": 1,
    "patch": 8,
    "embedding": 16,
    "vae_widths": [8, 8, 8],
    "unet_widths": [32, 32],
    "unet_layers": 1,
}


@pytest.fixture(scope="session")
def miniature_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature on disk; copy it before changing it."""
    words = components.tokenizer(["a", "photo", "of", *CLASSES, *WORDS])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        text, vision = components.clip_towers(SIZES, words, SIZE)
        normaliser = StableUnCLIPImageNormalizer(SIZES["embedding"])
        for values, centre in ((normaliser.mean, 0.0), (normaliser.std, 1.0)):
            values.data = centre + 0.2 * torch.rand_like(values)
        encoder = CLIPTextModel(text.config)
        encoder.load_state_dict(text.text_model.state_dict())
        unet, vae = components.unet(SIZES, SIZE // 4), components.autoencoder(SIZES, SIZE)
    pipeline = StableUnCLIPImg2ImgPipeline(
        feature_extractor=components.image_processor(SIZE),
        image_encoder=vision,
        image_normalizer=normaliser,
        image_noising_scheduler=components.image_noising_scheduler(),
        tokenizer=words,
        text_encoder=encoder,
        unet=unet,
        scheduler=components.scheduler(),
        vae=vae,
    )
    folder = tmp_path_factory.mktemp("generators") / "miniature"
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def miniature(miniature_folder: Path) -> UnCLIP:
    """The miniature, loaded."""
    return load(str(miniature_folder), None, torch.device("cpu"))


@pytest.fixture(scope="session")
def scene(miniature: UnCLIP, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A plan to synthesise with the miniature."""
    return make_scene(miniature, tmp_path_factory.mktemp("prompts"))
