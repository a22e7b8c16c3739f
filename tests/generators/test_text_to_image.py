"""Stable Diffusion 1.5, 2.1 and SDXL with IP-Adapter: what diffusers' own pipelines do, and feedback on top."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from src.generators.diffusion_model import Condition, DiffusionModel
from src.generators.sampler import ClassifierFreeGuidance, sample, scheduler
from src.runtime.errors import InputError
from tests.generators.miniatures import Preset, load
from tests.generators.scene import GUIDED, Scene

CPU = torch.device("cpu")
PROMPTS = ["a photo of a seven", "a photo of a bold three", ""]
EMBEDDINGS = torch.randn(3, 16, generator=torch.Generator().manual_seed(3))


def noise(generator: DiffusionModel) -> Tensor:
    return 3 * torch.randn(len(PROMPTS), *generator.latent_shape, generator=torch.Generator().manual_seed(1))


def ours(
    generator: DiffusionModel, condition: Condition, guidance_scale: float, image: bool = False,
    rows: slice = slice(None),
) -> Tensor:  # fmt: skip
    """Latents of our sampler, unguided, in four DDIM steps, for some of the prompts, whose condition it is."""
    steps = scheduler("ddim", generator.scheduler_config)
    steps.set_timesteps(4)
    absent = generator.absent(len(PROMPTS[rows]), image=image)
    kind = steps.config.prediction_type
    denoiser = ClassifierFreeGuidance(generator.denoise, kind, condition, absent, guidance_scale)
    return sample(denoiser, steps, noise(generator)[rows])


def theirs(generator: DiffusionModel, guidance_scale: float, rows: slice = slice(None), **what: Any) -> Tensor:
    """Latents of diffusers' pipeline from the same noise, for some of the prompts."""
    pipeline = generator.pipeline
    kept, pipeline.scheduler = pipeline.scheduler, scheduler("ddim", generator.scheduler_config)
    pipeline.set_progress_bar_config(disable=True)
    edge = generator.image_size
    made = pipeline(
        PROMPTS[rows], height=edge, width=edge, num_inference_steps=4, guidance_scale=guidance_scale,
        latents=noise(generator)[rows], output_type="latent", **what,
    ).images  # fmt: skip
    pipeline.scheduler = kept
    return made


@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
@pytest.mark.parametrize("name", ["sd15", "sd21"])
def test_from_text_alone_unguided_sampling_is_what_the_diffusers_pipeline_does(
    generators: dict[str, DiffusionModel], name: str, guidance_scale: float
) -> None:
    made = generators[name]
    found = ours(made, made.text(PROMPTS), guidance_scale)
    assert found.abs().max() > 1.5  # latents that clipping would change
    assert torch.allclose(found, theirs(made, guidance_scale), rtol=0, atol=1e-5)


@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
def test_from_text_and_image_sdxl_with_an_ip_adapter_does_what_the_diffusers_pipeline_does(
    generators: dict[str, DiffusionModel], guidance_scale: float
) -> None:
    made = generators["sdxl"]
    told = {**made.text(PROMPTS), **made.image(EMBEDDINGS, 0, torch.zeros(3, 16))}
    made.pipeline.set_ip_adapter_scale(0.6)
    alone = [{name: value[i : i + 1] for name, value in told.items()} for i in range(len(PROMPTS))]
    found = torch.cat([ours(made, one, guidance_scale, True, slice(i, i + 1)) for i, one in enumerate(alone)])
    expected = []
    for i, embedding in enumerate(EMBEDDINGS[:, None, None]):  # the pipeline would show a batch's images to each prompt
        shown = embedding if guidance_scale == 1 else torch.cat([0 * embedding, embedding])
        expected.append(theirs(made, guidance_scale, slice(i, i + 1), ip_adapter_image_embeds=[shown]))
    expected = torch.cat(expected)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()  # latents of 40, whose last place is 4e-6
    found = ours(made, told, guidance_scale, image=True)
    other = ours(made, {**told, "embedding": -told["embedding"]}, guidance_scale, image=True)
    assert (found - other).flatten(1).abs().amax(1).min() > 1e-3  # the image is heard


@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
def test_from_text_alone_sdxl_with_an_ip_adapter_is_exactly_sdxl_without_one(
    generators: dict[str, DiffusionModel], presets: dict[str, Preset], guidance_scale: float
) -> None:
    with_adapter, plain = generators["sdxl"], load({**presets["sdxl"], "adapter": None}, CPU)
    assert with_adapter.takes_image and not plain.takes_image
    found = [ours(made, made.text(PROMPTS), guidance_scale) for made in (with_adapter, plain)]
    assert torch.equal(*found)
    assert torch.allclose(found[1], theirs(plain, guidance_scale), rtol=0, atol=1e-5)


def test_the_ip_adapters_image_embedding_is_that_of_its_own_processor_and_tower(
    generators: dict[str, DiffusionModel],
) -> None:
    made, pictures = generators["sdxl"], np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    shown = [Image.fromarray(picture) for picture in pictures]
    expected, _ = made.pipeline.encode_image(shown, CPU, 1)
    assert torch.allclose(made.image_embeddings(pictures), expected, rtol=0, atol=1e-5)


def test_an_ip_adapter_knows_no_noise_levels(generators: dict[str, DiffusionModel]) -> None:
    with pytest.raises(InputError, match="noise_level=10: an IP-Adapter knows no noise levels; set it to 0"):
        generators["sdxl"].image(EMBEDDINGS, 10, EMBEDDINGS)


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_a_generator_without_an_image_tower_says_so(presets: dict[str, Preset], name: str) -> None:
    made = load({**presets[name], "adapter": None}, CPU)
    with pytest.raises(InputError, match="no CLIP image tower; choose another feature space or generator"):
        made.embed(torch.zeros(1, 3, 32, 32))
    with pytest.raises(InputError, match=r"takes text alone; set synth\.conditioning=text"):
        made.image(EMBEDDINGS, 0, EMBEDDINGS)


@pytest.mark.parametrize("name", ["unclip", "sd15", "sd21", "sdxl"])
def test_feedback_raises_its_criterion_through_every_pipeline(
    scene: Scene, generators: dict[str, DiffusionModel], name: str
) -> None:
    here = scene.of(generators[name])
    conditioning = "text_image" if generators[name].takes_image else "text"
    plain = here.synthesiser(conditioning=conditioning, value=scene.value)(scene.plan)
    made = here.synthesiser(conditioning=conditioning, feedback=GUIDED)(scene.plan)
    assert all(meta["updates"] == 4 and meta["skipped"] == 0 for _, meta in made)
    assert not any(np.array_equal(a, b) for (a, _), (b, _) in zip(made, plain, strict=True))
    after, before = (np.mean([meta["criterion_after"] for _, meta in samples]) for samples in (made, plain))
    assert after > before
