"""Stable unCLIP 2.1 at its real shapes with random weights: counted on any machine, timed on a GPU."""

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    StableUnCLIPImg2ImgPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from src.generators.tiny.components import tokenizer
from src.generators.unclip import UnCLIP

WIDTHS = [320, 640, 1280, 1280]
EMBEDDING = 1024  # of OpenCLIP ViT-H/14
LATENT = 96  # 768 px


def unet() -> UNet2DConditionModel:
    """The UNet of Stable unCLIP 2.1 (870 M parameters)."""
    return UNet2DConditionModel(
        sample_size=LATENT,
        block_out_channels=WIDTHS,
        down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        layers_per_block=2,
        attention_head_dim=[5, 10, 20, 20],
        cross_attention_dim=1024,
        use_linear_projection=True,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=2 * EMBEDDING,
    )


def autoencoder() -> AutoencoderKL:
    """Stable Diffusion's autoencoder (84 M parameters)."""
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[128, 256, 512, 512],
        layers_per_block=2,
        sample_size=768,
        scaling_factor=0.18215,
    )


def stable_unclip(device: torch.device, dtype: torch.dtype) -> UnCLIP:
    """The whole generator with random weights. The encoders are small: they run once per class and real image."""
    with torch.random.fork_rng(), device:
        torch.manual_seed(0)
        text = CLIPTextModel(
            CLIPTextConfig(hidden_size=1024, num_hidden_layers=1, num_attention_heads=16, vocab_size=1000)
        )
        vision = CLIPVisionModelWithProjection(
            CLIPVisionConfig(hidden_size=64, num_hidden_layers=1, num_attention_heads=1, projection_dim=EMBEDDING)
        )
        networks = unet(), autoencoder()
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    pipeline = StableUnCLIPImg2ImgPipeline(
        feature_extractor=CLIPImageProcessor(),
        image_encoder=vision,
        image_normalizer=StableUnCLIPImageNormalizer(EMBEDDING),
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        tokenizer=tokenizer(["a", "photo", "of", "tench"]),
        text_encoder=text,
        unet=networks[0],
        scheduler=DDIMScheduler(**betas, prediction_type="v_prediction", steps_offset=1, set_alpha_to_one=False),
        vae=networks[1],
    )
    return UnCLIP(pipeline, device, dtype)
