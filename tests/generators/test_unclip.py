"""The interface to Stable unCLIP against diffusers' own pipeline."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableUnCLIPImg2ImgPipeline
from PIL import Image

from src.generators.diffusion_model import DiffusionModel
from src.generators.sampler import ClassifierFreeGuidance, sample, scheduler
from src.runtime.errors import InputError
from src.shards.pixels import to_tensor
from tests.generators.miniatures import load

CPU = torch.device("cpu")
PROMPTS = ["a photo of a seven", "a photo of a bold three", "a photo of a letter k"]


def pictures(size: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (len(PROMPTS), size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
@pytest.mark.parametrize("noise_level", [0, 300])
def test_unguided_sampling_is_what_the_diffusers_pipeline_does(
    miniature: DiffusionModel, noise_level: int, guidance_scale: float
) -> None:
    pipeline = StableUnCLIPImg2ImgPipeline(**miniature.pipeline.components)
    pipeline.scheduler = scheduler("ddim", miniature.scheduler_config)
    pipeline.set_progress_bar_config(disable=True)
    z = 3 * torch.randn(len(PROMPTS), *miniature.latent_shape, generator=torch.Generator().manual_seed(1))
    theirs = pipeline(
        image=[Image.fromarray(picture) for picture in pictures()],
        prompt=PROMPTS,
        num_inference_steps=5,
        guidance_scale=guidance_scale,
        noise_level=noise_level,
        latents=z,
        generator=torch.Generator().manual_seed(2),
        output_type="pt",
    ).images
    embeddings = miniature.image_embeddings(pictures())
    noise = torch.randn(embeddings.shape, generator=torch.Generator().manual_seed(2))
    condition = {**miniature.text(PROMPTS), **miniature.image(embeddings, noise_level, noise)}
    absent = miniature.absent(len(PROMPTS), image=True)
    steps = scheduler("ddim", miniature.scheduler_config)
    steps.set_timesteps(5)
    denoiser = ClassifierFreeGuidance(miniature.denoise, "v_prediction", condition, absent, guidance_scale)
    ours = sample(denoiser, steps, z)
    assert ours.abs().max() > 1.5  # latents that clipping would change
    assert torch.allclose((miniature.decode(ours) / 2 + 0.5).clamp(0, 1), theirs, rtol=0, atol=1e-5)


def test_image_embeddings_are_those_of_the_pipelines_processor_and_tower(miniature: DiffusionModel) -> None:
    processor, tower = miniature.pipeline.feature_extractor, miniature.pipeline.image_encoder
    shown = [Image.fromarray(picture) for picture in pictures()]
    theirs = tower(processor(images=shown, return_tensors="pt").pixel_values).image_embeds
    assert torch.allclose(miniature.image_embeddings(pictures()), theirs, rtol=0, atol=1e-5)
    assert torch.allclose(miniature.image_embeddings(pictures(), batch=2), theirs, rtol=0, atol=1e-5)


def test_images_of_another_size_are_resized_as_the_processor_does(miniature: DiffusionModel) -> None:
    processor, tower = miniature.pipeline.feature_extractor, miniature.pipeline.image_encoder
    smooth = np.array([Image.fromarray(picture).resize((96, 96), Image.Resampling.BICUBIC) for picture in pictures()])
    theirs = tower(
        processor(images=[Image.fromarray(picture) for picture in smooth], return_tensors="pt").pixel_values
    ).image_embeds
    # The processor rounds the resized image to 8 bits.
    assert torch.allclose(miniature.image_embeddings(smooth), theirs, rtol=0, atol=0.02 * theirs.abs().max().item())


def test_the_embedding_of_an_image_has_a_gradient(miniature: DiffusionModel) -> None:
    x = to_tensor(pictures()).requires_grad_()
    (gradient,) = torch.autograd.grad(miniature.embed(x).square().sum(), x)
    assert gradient.flatten(1).any(1).all()


@pytest.mark.parametrize("noise_level", [0, 500])
def test_class_labels_are_the_pipelines(miniature: DiffusionModel, noise_level: int) -> None:
    embeddings = miniature.image_embeddings(pictures())
    noise = torch.randn(embeddings.shape, generator=torch.Generator().manual_seed(0))
    theirs = miniature.pipeline.noise_image_embeddings(embeddings, noise_level, noise)
    ours = miniature.image(embeddings, noise_level, noise)["class_labels"]
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("noise_level", [-1, 1000])
def test_an_impossible_noise_level_is_refused(miniature: DiffusionModel, noise_level: int) -> None:
    with pytest.raises(InputError, match=rf"noise_level={noise_level} must lie in 0\.\.999"):
        miniature.image(torch.zeros(1, 16), noise_level, torch.zeros(1, 16))


def test_the_absent_image_is_all_zeros_its_noise_level_included(miniature: DiffusionModel) -> None:
    no_image = miniature.no_image(3)["class_labels"]
    assert no_image.shape == (3, 32) and not no_image.any()
    zero = miniature.image(torch.zeros(3, 16), 0, torch.zeros(3, 16))["class_labels"]
    assert zero.any(1).all()  # a zero embedding is not the absence of one: its level is told too
    for image in (False, True):
        told = miniature.absent(3, image=image)
        assert torch.equal(told["class_labels"], no_image)
        assert torch.equal(told["states"], miniature.text(["", "", ""])["states"])


def test_everything_is_frozen(miniature_folder: Path) -> None:
    miniature = load({"path": str(miniature_folder), "revision": None}, CPU)  # diffusers' own thaws its normaliser
    parts = [getattr(miniature.pipeline, name) for name in miniature.parts]
    assert not any(p.requires_grad for part in parts for p in part.parameters())
    assert not any(part.training for part in parts)
    embeddings = miniature.image_embeddings(pictures())
    assert not miniature.image(embeddings, 0, torch.zeros_like(embeddings))["class_labels"].requires_grad


def test_sizes_follow_the_configuration(miniature: DiffusionModel) -> None:
    assert miniature.latent_shape == (4, 8, 8) and miniature.image_size == 32
    assert miniature.decode(torch.zeros(1, *miniature.latent_shape)).shape == (1, 3, 32, 32)
