"""Generators whose files are incomplete, damaged or of another kind: one clear sentence each."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.generators.miniatures import Preset
from tests.generators.spoiling import ADAPTER, INDEX, TOWER, edit, lose, private, rename, sentence

UNET, VAE = (f"{part}/diffusion_pytorch_model.safetensors" for part in ("unet", "vae"))
WORDS = "tokenizer/tokenizer.json"

DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no folder": ("unclip", shutil.rmtree, "has no model_index.json"),
    "no index": ("sd15", lambda f: (f / INDEX).unlink(), "has no model_index.json"),
    "broken index": ("unclip", lambda f: (f / INDEX).write_text("{"), "model_index.json is not valid JSON"),
    "list for an index": ("unclip", lambda f: (f / INDEX).write_text("[1]"), "has no model_index.json"),
    "other pipeline": ("sdxl", rename("FluxPipeline"), "holds a FluxPipeline, not one of StableUnCLIPImg2ImgPipeline"),
    "code as a pipeline": ("unclip", rename(["pipeline", "Mine"]), "holds a ['pipeline', 'Mine'], not one of"),
    "text for image": ("sd21", rename("StableUnCLIPImg2ImgPipeline"), "lacks its part 'image_encoder'"),
    "no vae": ("unclip", lambda f: shutil.rmtree(f / "vae"), "lacks its part 'vae'"),
    "no tokenizer": ("sd15", lambda f: shutil.rmtree(f / "tokenizer"), "lacks its part 'tokenizer'"),
    "no processor": ("unclip", lambda f: shutil.rmtree(f / "feature_extractor"), "its part 'feature_extractor'"),
    "no second encoder": ("sdxl", lambda f: shutil.rmtree(f / "text_encoder_2"), "its part 'text_encoder_2'"),
    "part not in the index": ("sd15", lose(INDEX, "unet"), "lacks its part 'unet'"),
    "no weights": ("unclip", lambda f: (f / UNET).unlink(), "lacks the weights of 'unet' (*.safetensors)"),
    "pickled weights": (
        "sd15",
        lambda f: (f / UNET).rename((f / UNET).with_suffix(".bin")),
        "lacks the weights of 'unet' (*.safetensors)",
    ),
    "empty weights": ("unclip", lambda f: (f / VAE).write_bytes(b""), "is truncated"),
    "truncated weights": ("sd21", lambda f: (f / UNET).write_bytes((f / UNET).read_bytes()[:-100]), "is truncated"),
    "truncated header": ("sdxl", lambda f: (f / UNET).write_bytes((f / UNET).read_bytes()[:100]), "is truncated"),
    "garbage": (
        "sd15",
        lambda f: (f / VAE).write_bytes(b"\x02\0\0\0\0\0\0\0{]" + bytes(99)),
        "truncated or no safetensors",
    ),
    "shifted latents": (
        "sdxl",
        lambda f: edit(f / "vae/config.json", lambda c: c.update(latents_mean=[0.1] * 4, latents_std=[2.0] * 4)),
        "latents_mean is not heeded",
    ),
    "lost in the unet": ("sd15", lose(UNET, "conv_in.bias"), "unet lacks 'conv_in.bias'"),
    "lost in the vae": ("sdxl", lose(VAE, "decoder.conv_in.bias"), "vae lacks 'decoder.conv_in.bias'"),
    "lost in the text encoder": (
        "sd15",
        lose("text_encoder/model.safetensors", "text_model.final_layer_norm.bias"),
        "text_encoder lacks the weight '",
    ),
    "lost in the second text encoder": (
        "sdxl",
        lose("text_encoder_2/model.safetensors", "text_projection.weight"),
        "text_encoder_2 lacks the weight 'text_projection.weight'",
    ),
    "lost in the image encoder": (
        "unclip",
        lose("image_encoder/model.safetensors", "visual_projection.weight"),
        "image_encoder lacks the weight 'visual_projection.weight'",
    ),
    "lost in the normaliser": (
        "unclip",
        lose("image_normalizer/diffusion_pytorch_model.safetensors", "std"),
        "image_normalizer lacks 'std'",
    ),
    "wrong shape": (
        "unclip",
        lambda f: edit(f / UNET, lambda x: x.update({"conv_in.bias": torch.zeros(3)})),
        "cannot be loaded (",
    ),
    "NaN": ("sd21", lambda f: edit(f / VAE, lambda x: x["decoder.conv_in.bias"].fill_(torch.nan)), "holds NaN or inf"),
    "infinity": (
        "sd15",
        lambda f: edit(
            f / "text_encoder/model.safetensors", lambda x: x["text_model.final_layer_norm.bias"].fill_(torch.inf)
        ),
        "text_encoder holds NaN or infinity in '",
    ),
    "broken config": (
        "unclip",
        lambda f: (f / "unet/config.json").write_text("{"),
        "unet/config.json is no valid JSON",
    ),
    "unknown component": (
        "sd15",
        lambda f: edit(f / INDEX, lambda x: x.update(vae=["diffusers", "AutoencoderOfTomorrow"])),
        "asks for ['AutoencoderOfTomorrow'] as its part 'vae', not AutoencoderKL",
    ),
    "part that climbs": (
        "unclip",
        lambda f: edit(f / INDEX, lambda x: x.update({"../x": ["diffusers", "X"]})),
        "names the part '../x', which is no folder's name",
    ),
    "broken noise": (
        "unclip",
        lambda f: (f / "scheduler/scheduler_config.json").write_text("[]"),
        "scheduler/scheduler_config.json is no valid JSON",
    ),
    "cut tokenizer": (
        "unclip",
        lambda f: (f / WORDS).write_bytes((f / WORDS).read_bytes()[:-100]),
        "tokenizer.json is no valid JSON",
    ),
    "larger text tower": (
        "unclip",
        lambda f: edit(f / "text_encoder/config.json", lambda x: x.update(hidden_size=64)),
        "cannot be loaded (",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_generator_that_cannot_be_used_is_one_clear_sentence(
    presets: dict[str, Preset], tmp_path: Path, damage: str
) -> None:
    name, spoil, message = DAMAGE[damage]
    preset, folder, _ = private(presets[name], tmp_path)
    spoil(folder)
    assert message in sentence(preset)


ADAPTER_DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "ip-adapter_sdxl.safetensors is missing; download its files"),
    "no file": (lambda f: (f / ADAPTER).unlink(), "ip-adapter_sdxl.safetensors is missing; download its files"),
    "truncated": (lambda f: (f / ADAPTER).write_bytes((f / ADAPTER).read_bytes()[:-8]), "is truncated"),
    "not safetensors": (
        lambda f: (f / ADAPTER).write_bytes(b"PK\3\4" + bytes(200)),
        "is truncated or no safetensors file; download its files",
    ),
    "no projection": (
        lambda f: edit(f / ADAPTER, lambda x: [x.pop(k) for k in list(x) if k.startswith("image_proj.")]),
        "is no plain IP-Adapter: it lacks the weight 'image_proj.proj.weight'",
    ),
    "no attention": (
        lambda f: edit(f / ADAPTER, lambda x: [x.pop(k) for k in list(x) if k.startswith("ip_adapter.")]),
        "is no plain IP-Adapter: it lacks the weight 'ip_adapter.*'",
    ),
    "one attention lost": (lose(ADAPTER, "ip_adapter.1.to_k_ip.weight"), "('1.to_k_ip.weight' is missing); download"),
    "projection's bias lost": (lose(ADAPTER, "image_proj.proj.bias"), "it lacks the weight 'image_proj.proj.bias'"),
    "of another model": (
        lambda f: edit(f / ADAPTER, lambda x: x.update({"ip_adapter.1.to_k_ip.weight": torch.zeros(3, 3)})),
        "cannot be loaded (",
    ),
    "NaN": (lambda f: edit(f / ADAPTER, lambda x: x["image_proj.proj.bias"].fill_(torch.nan)), "holds NaN or infinity"),
    "no encoder": (lambda f: shutil.rmtree(f / TOWER), "lacks the weights of 'sdxl_models/image_encoder'"),
    "lost in the encoder": (
        lose(f"{TOWER}/model.safetensors", "visual_projection.weight"),
        "image_encoder lacks the weight 'visual_projection.weight'",
    ),
}


@pytest.mark.parametrize("damage", ADAPTER_DAMAGE)
def test_an_ip_adapter_that_cannot_be_used_is_one_clear_sentence(
    presets: dict[str, Preset], tmp_path: Path, damage: str
) -> None:
    preset, _, adapter = private(presets["sdxl"], tmp_path)
    spoil, message = ADAPTER_DAMAGE[damage]
    assert adapter is not None
    spoil(adapter)
    assert message in sentence(preset)


def test_an_ip_adapter_of_another_image_encoder_is_named_with_the_encoder(
    presets: dict[str, Preset], tmp_path: Path
) -> None:
    preset, _, adapter = private(presets["sdxl"], tmp_path)
    assert adapter is not None
    edit(adapter / ADAPTER, lambda x: x.update({"image_proj.proj.weight": torch.zeros(128, 24)}))
    assert sentence(preset) == (
        f"the IP-Adapter {adapter / ADAPTER} takes image embeddings of 24 numbers, but {adapter / TOWER} makes 16; "
        "set the preset's adapter.encoder to the image encoder that the adapter was trained with"
    )
