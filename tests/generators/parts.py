"""The networks of the miniatures, untrained: the real ones' configuration keys, small numbers."""

from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTokenizer

from src.generators.tiny import components
from src.generators.tiny.glyphs import CLASSES, WORDS
from src.settings.sections import TinySizes

SIZES = TinySizes(
    text_width=32,
    text_layers=1,
    vision_width=32,
    vision_layers=1,
    patch=8,
    embedding=16,
    vae_widths=(8, 8, 8),
    unet_widths=(32, 32),
    unet_layers=1,
)
ADAPTER_TOKENS = 4


def adapter_weights(network: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    """An IP-Adapter's tensors in the published layout: odd numbers are the cross-attentions, in the UNet's order."""
    width = network.config.cross_attention_dim
    weights = {
        "image_proj.proj.weight": torch.randn(ADAPTER_TOKENS * width, SIZES.embedding) / 4,
        "image_proj.proj.bias": torch.randn(ADAPTER_TOKENS * width) / 4,
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    for number, name in enumerate(network.attn_processors):
        layer = network.get_submodule(name.removesuffix(".processor"))
        if ".attn2." in name:
            for letter in "kv":
                weights[f"ip_adapter.{number}.to_{letter}_ip.weight"] = torch.randn(layer.to_k.weight.shape) / 8
    return weights


def tokenizer() -> CLIPTokenizer:
    return components.tokenizer(["a", "photo", "of", *CLASSES, *WORDS])


def text_config(words: CLIPTokenizer, projection_dim: int = 32) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=components.CONTEXT,
        projection_dim=projection_dim,
        bos_token_id=0,
        eos_token_id=words.eos_token_id,
        pad_token_id=1,
    )


def unet(**config: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        **{
            "sample_size": 8,
            "block_out_channels": (32, 64),
            "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
            "layers_per_block": 1,
            "cross_attention_dim": 32,
            "norm_num_groups": 16,
            **config,
        }
    )


def autoencoder(**config: Any) -> AutoencoderKL:
    """With attention in the middle, unlike the shipped generator's."""
    widths = (8, 8, 16)
    return AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=32,
        **config,
    )
