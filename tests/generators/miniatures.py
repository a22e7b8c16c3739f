"""Generators with random weights: the pipeline classes, configuration keys and files of the real ones, very small.

Each function writes a diffusers folder and returns the preset that loads it. Nothing is trained.
"""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderTiny,
    DDIMScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    StableUnCLIPImg2ImgPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
from safetensors.torch import save_file
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from src.generators import loading
from src.generators.diffusion_model import DiffusionModel
from src.generators.tiny import components
from src.generators.tiny.corpus import SIZE
from src.settings.schema import build
from src.settings.sections import GeneratorSettings
from tests.generators.parts import SIZES, adapter_weights, autoencoder, text_config, tokenizer, unet
from tests.generators.published import published_names, published_tokenizer

Preset = dict[str, Any]
SAMPLING: Preset = {"scheduler": "ddim", "steps": 4, "guidance_scale": 3.0, "noise_level": 0}
NOISE: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def settings_of(preset: Preset) -> GeneratorSettings:
    """The section that a preset is, which need not say how to sample."""
    return build(GeneratorSettings, {**SAMPLING, **preset}, "generators.miniature")


def load(preset: Preset, device: torch.device) -> DiffusionModel:
    return loading.load(settings_of(preset), device)


def unclip(folder: Path) -> Preset:
    """As stable-diffusion-2-1-unclip: v-prediction under a PNDM configuration, projected class embedding."""
    words = tokenizer()
    text, vision = components.clip_towers(SIZES, words, SIZE)
    normaliser = StableUnCLIPImageNormalizer(SIZES.embedding)
    for values, centre in ((normaliser.mean, 0.0), (normaliser.std, 1.0)):
        values.data = centre + 0.2 * torch.rand_like(values)
    encoder = CLIPTextModel(text.config)
    encoder.load_state_dict(text.text_model.state_dict())
    StableUnCLIPImg2ImgPipeline(
        feature_extractor=components.image_processor(SIZE),
        image_encoder=vision,
        image_normalizer=normaliser,
        image_noising_scheduler=components.image_noising_scheduler(),
        tokenizer=words,
        text_encoder=encoder,
        unet=components.unet(SIZES, SIZE // 4),
        scheduler=components.scheduler(),
        vae=components.autoencoder(SIZES, SIZE),
    ).save_pretrained(folder, safe_serialization=True)
    return {"path": str(folder), "revision": None}


def stable_diffusion_15(folder: Path) -> Preset:
    """As stable-diffusion-v1-5, its files included: convolutional projections, epsilon by default, PNDM.

    The index names a safety checker and a feature extractor, whose folders are absent.
    """
    network = unet(attention_head_dim=4, use_linear_projection=False)
    _text_to_image(folder, network, PNDMScheduler(**NOISE, skip_prk_steps=True, set_alpha_to_one=False))
    index = json.loads((folder / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPFeatureExtractor"]
    del index["requires_safety_checker"], index["image_encoder"]
    (folder / "model_index.json").write_text(json.dumps(index))
    config = json.loads((folder / "scheduler/scheduler_config.json").read_text())
    del config["prediction_type"]
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(config))
    published_names(folder / "text_encoder", folder / "vae")
    published_tokenizer(folder / "tokenizer")
    return {"path": str(folder), "revision": None}


def stable_diffusion_21(folder: Path) -> Preset:
    """As stable-diffusion-2-1: linear projections, v-prediction; a safety checker that is [null, null]."""
    network = unet(attention_head_dim=[1, 2], use_linear_projection=True, upcast_attention=True)
    noise = DDIMScheduler(**NOISE, prediction_type="v_prediction", set_alpha_to_one=False, clip_sample=False)
    _text_to_image(folder, network, noise)
    return {"path": str(folder), "revision": None}


def stable_diffusion_xl(folder: Path) -> Preset:
    """As stable-diffusion-xl-base-1.0 with an IP-Adapter: two text encoders, size conditioning, an image encoder."""
    words = tokenizer()
    network = unet(
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 2],
        attention_head_dim=[1, 2],
        cross_attention_dim=64,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24 + 6 * 8,
    )
    StableDiffusionXLPipeline(
        vae=autoencoder(scaling_factor=0.13025),
        text_encoder=CLIPTextModel(text_config(words)),
        text_encoder_2=CLIPTextModelWithProjection(text_config(words, projection_dim=24)),
        tokenizer=words,
        tokenizer_2=tokenizer(),
        unet=network,
        scheduler=EulerDiscreteScheduler(**NOISE, prediction_type="epsilon", timestep_spacing="leading"),
        force_zeros_for_empty_prompt=True,
    ).save_pretrained(folder / "base", safe_serialization=True)
    published_names(folder / "base/text_encoder", folder / "base/text_encoder_2")
    CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=4,
            image_size=32,
            patch_size=8,
            projection_dim=SIZES.embedding,
        )
    ).save_pretrained(folder / "adapter/sdxl_models/image_encoder")
    save_file(adapter_weights(network), folder / "adapter/sdxl_models/ip-adapter_sdxl.safetensors")
    adapter = {
        "path": str(folder / "adapter"),
        "revision": None,
        "file": "sdxl_models/ip-adapter_sdxl.safetensors",
        "encoder": "sdxl_models/image_encoder",
        "scale": 0.6,
    }
    return {"path": str(folder / "base"), "revision": None, "adapter": adapter}


def tiny_decoder(folder: Path) -> str:
    """As taesd, for latents of a quarter of the image's edge."""
    widths = (8, 8, 8)
    blocks = (1, 1, 1)
    AutoencoderTiny(
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        num_encoder_blocks=blocks,
        num_decoder_blocks=blocks,
    ).save_pretrained(folder, safe_serialization=True)
    return str(folder)


def _text_to_image(folder: Path, network: UNet2DConditionModel, noise: Any) -> None:
    words = tokenizer()
    StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=CLIPTextModel(text_config(words)),
        tokenizer=words,
        unet=network,
        scheduler=noise,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder, safe_serialization=True)


MINIATURES = {
    "unclip": unclip,
    "sd15": stable_diffusion_15,
    "sd21": stable_diffusion_21,
    "sdxl": stable_diffusion_xl,
}
