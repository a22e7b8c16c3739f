"""The interface to Stable unCLIP against diffusers' own pipeline, and generators that cannot be loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableUnCLIPImg2ImgPipeline
from PIL import Image
from safetensors.torch import load_file, save_file

from src.data.images import to_tensor
from src.errors import InputError
from src.feedback.sampling import sample, scheduler
from src.generators.unclip import COMPONENTS, UnCLIP, load

CPU = torch.device("cpu")
PROMPTS = ["a photo of a seven", "a photo of a bold three", "a photo of a letter k"]


def pictures(size: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (len(PROMPTS), size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
@pytest.mark.parametrize("noise_level", [0, 300])
def test_unguided_sampling_is_what_the_diffusers_pipeline_does(
    miniature: UnCLIP, noise_level: int, guidance_scale: float
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
    told = miniature.text_states(PROMPTS), miniature.class_labels(embeddings, noise_level, noise)
    untold = miniature.text_states([""] * len(PROMPTS)), miniature.no_image(len(PROMPTS))
    steps = scheduler("ddim", miniature.scheduler_config)
    steps.set_timesteps(5)
    labels = torch.zeros(len(PROMPTS), dtype=torch.long)
    ours = sample(miniature.denoise, miniature.decode, steps, z, told, untold, labels, guidance_scale)
    assert ours.abs().max() > 1.5  # latents that clipping would change
    assert torch.allclose((miniature.decode(ours) / 2 + 0.5).clamp(0, 1), theirs, rtol=0, atol=1e-5)


def test_image_embeddings_are_those_of_the_pipelines_processor_and_tower(miniature: UnCLIP) -> None:
    processor, tower = miniature.pipeline.feature_extractor, miniature.pipeline.image_encoder
    shown = [Image.fromarray(picture) for picture in pictures()]
    theirs = tower(processor(images=shown, return_tensors="pt").pixel_values).image_embeds
    assert torch.allclose(miniature.image_embeddings(pictures()), theirs, rtol=0, atol=1e-5)
    assert torch.allclose(miniature.image_embeddings(pictures(), batch=2), theirs, rtol=0, atol=1e-5)


def test_images_of_another_size_are_resized_as_the_processor_does(miniature: UnCLIP) -> None:
    processor, tower = miniature.pipeline.feature_extractor, miniature.pipeline.image_encoder
    smooth = np.array([Image.fromarray(picture).resize((96, 96), Image.Resampling.BICUBIC) for picture in pictures()])
    theirs = tower(
        processor(images=[Image.fromarray(picture) for picture in smooth], return_tensors="pt").pixel_values
    ).image_embeds
    # The processor rounds the resized image to 8 bits.
    assert torch.allclose(miniature.image_embeddings(smooth), theirs, rtol=0, atol=0.02 * theirs.abs().max().item())


def test_the_embedding_of_an_image_has_a_gradient(miniature: UnCLIP) -> None:
    x = to_tensor(pictures()).requires_grad_()
    (gradient,) = torch.autograd.grad(miniature.embed(x).square().sum(), x)
    assert gradient.flatten(1).any(1).all()


@pytest.mark.parametrize("noise_level", [0, 500])
def test_class_labels_are_the_pipelines(miniature: UnCLIP, noise_level: int) -> None:
    embeddings = miniature.image_embeddings(pictures())
    noise = torch.randn(embeddings.shape, generator=torch.Generator().manual_seed(0))
    theirs = miniature.pipeline.noise_image_embeddings(embeddings, noise_level, noise)
    assert torch.allclose(miniature.class_labels(embeddings, noise_level, noise), theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("noise_level", [-1, 1000])
def test_an_impossible_noise_level_is_refused(miniature: UnCLIP, noise_level: int) -> None:
    with pytest.raises(InputError, match=rf"noise_level={noise_level} must lie in 0\.\.999"):
        miniature.class_labels(torch.zeros(1, 16), noise_level, torch.zeros(1, 16))


def test_the_absent_image_is_all_zeros_its_noise_level_included(miniature: UnCLIP) -> None:
    assert miniature.no_image(3).shape == (3, 32) and not miniature.no_image(3).any()


def test_everything_is_frozen(miniature_folder: Path) -> None:
    miniature = load(str(miniature_folder), None, CPU)  # diffusers' own pipeline thaws its normaliser
    parts = [getattr(miniature.pipeline, name) for name in COMPONENTS]
    assert not any(p.requires_grad for part in parts for p in part.parameters())
    assert not any(part.training for part in parts)
    embeddings = miniature.image_embeddings(pictures())
    assert not miniature.class_labels(embeddings, 0, torch.zeros_like(embeddings)).requires_grad


def test_sizes_follow_the_configuration(miniature: UnCLIP) -> None:
    assert miniature.latent_shape == (4, 8, 8) and miniature.image_size == 32
    assert miniature.decode(torch.zeros(1, *miniature.latent_shape)).shape == (1, 3, 32, 32)


def edit(path: Path, change: Callable[[dict], object]) -> None:
    """Change a JSON file or a safetensors file in place."""
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
    else:
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, metadata={"format": "pt"})


UNET, VAE = (f"{part}/diffusion_pytorch_model.safetensors" for part in ("unet", "vae"))
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "no model_index.json"),
    "no index": (lambda f: (f / "model_index.json").unlink(), "no model_index.json"),
    "broken index": (lambda f: (f / "model_index.json").write_text("{"), "model_index.json"),
    "other pipeline": (
        lambda f: edit(f / "model_index.json", lambda x: x.update(_class_name="StableDiffusionPipeline")),
        "holds a StableDiffusionPipeline, not a StableUnCLIPImg2ImgPipeline",
    ),
    "no vae": (lambda f: shutil.rmtree(f / "vae"), "lacks its part 'vae'"),
    "no tokenizer": (lambda f: shutil.rmtree(f / "tokenizer"), "lacks its part 'tokenizer'"),
    "no weights": (lambda f: (f / UNET).unlink(), "lacks the weights of 'unet'"),
    "empty weights": (lambda f: (f / VAE).write_bytes(b""), "truncated"),
    "truncated weights": (lambda f: (f / UNET).write_bytes((f / UNET).read_bytes()[:-100]), "truncated"),
    "truncated header": (lambda f: (f / UNET).write_bytes((f / UNET).read_bytes()[:100]), "truncated"),
    "garbage": (lambda f: (f / VAE).write_bytes(b"\x02\0\0\0\0\0\0\0{]" + bytes(99)), "truncated or damaged"),
    "lost weight": (lambda f: edit(f / UNET, lambda x: x.pop("conv_in.bias")), "unet lacks 'conv_in.bias'"),
    "wrong shape": (
        lambda f: edit(f / UNET, lambda x: x.update({"conv_in.bias": torch.zeros(3)})),
        "cannot be loaded",
    ),
    "NaN": (lambda f: edit(f / VAE, lambda x: x["decoder.conv_in.bias"].fill_(torch.nan)), "NaN or infinity"),
    "broken config": (lambda f: (f / "unet/config.json").write_text("{"), "cannot be loaded"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_generator_that_cannot_be_used_is_one_clear_sentence(
    miniature_folder: Path, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "generator"
    shutil.copytree(miniature_folder, folder)
    spoil, message = DAMAGE[damage]
    spoil(folder)
    with pytest.raises(InputError) as raised:
        load(str(folder), None, CPU)
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_a_hub_that_does_not_answer_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("We couldn't connect to the hub\nand here is a page of advice")

    monkeypatch.setattr(StableUnCLIPImg2ImgPipeline, "from_pretrained", unreachable)
    with pytest.raises(InputError, match=r"cannot be loaded \(We couldn't connect to the hub\); download"):
        load("someone/some-unclip", None, CPU)
