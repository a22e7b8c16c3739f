"""Untrained components of the tiny Stable unCLIP: the classes of `stable-diffusion-2-1-unclip`, small.

Sizes come from params.yaml (`tiny.sizes`); everything else follows the real checkpoint's configuration:
v-prediction, scaled-linear betas, PNDM configuration, projection class embedding of the noised image
embedding and its noise level.
"""

import math
from collections.abc import Sequence

import torch
from diffusers import AutoencoderKL, DDPMScheduler, PNDMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from src.settings.sections import TinySizes

CONTEXT = 16  # tokens of a caption, start and end included


def tokenizer(words: Sequence[str]) -> CLIPTokenizer:
    """A byte-pair tokenizer that knows the given lower-case words whole and spells all others."""
    start, end = "<|startoftext|>", "<|endoftext|>"
    letters = "abcdefghijklmnopqrstuvwxyz0123456789-'.,"
    vocabulary = [start, end, *letters, *(f"{letter}</w>" for letter in letters)]
    merges: list[tuple[str, str]] = []
    for word in sorted({w for phrase in words for w in phrase.split()}):
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        left = pieces[0]
        for right in pieces[1:]:
            if (left, right) not in merges:
                merges.append((left, right))
            left += right
            if left not in vocabulary:
                vocabulary.append(left)
    return CLIPTokenizer({token: i for i, token in enumerate(vocabulary)}, merges, model_max_length=CONTEXT)


def _sin_cos(positions: int, width: int, grid: bool) -> Tensor:
    """Sine-cosine positions (positions, width); over a square grid behind one class token if `grid`."""
    side = math.isqrt(positions - 1) if grid else positions
    axes = (
        [torch.arange(side).repeat_interleave(side), torch.arange(side).repeat(side)] if grid else [torch.arange(side)]
    )
    bands = width // (2 * len(axes))
    frequency = torch.exp(-math.log(1000.0) * torch.arange(bands) / bands)
    angles = torch.cat([axis[:, None] * frequency for axis in axes], 1)
    table = torch.cat([angles.sin(), angles.cos()], 1)
    return torch.cat([torch.zeros(1, width), table]) if grid else table


def clip_towers(
    sizes: TinySizes, words: CLIPTokenizer, size: int
) -> tuple[CLIPTextModelWithProjection, CLIPVisionModelWithProjection]:
    """Both CLIP towers. Default initialisation plateaus; sin-cos positions and larger embeddings do not."""
    text = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=sizes.text_width,
            intermediate_size=4 * sizes.text_width,
            num_hidden_layers=sizes.text_layers,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
            projection_dim=sizes.embedding,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )
    vision = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=sizes.vision_width,
            intermediate_size=4 * sizes.vision_width,
            num_hidden_layers=sizes.vision_layers,
            num_attention_heads=4,
            image_size=size,
            patch_size=sizes.patch,
            projection_dim=sizes.embedding,
        )
    )
    with torch.no_grad():
        embeddings = text.text_model.embeddings
        embeddings.token_embedding.weight.normal_(0, 0.5)
        embeddings.position_embedding.weight.copy_(0.5 * _sin_cos(CONTEXT, sizes.text_width, grid=False))
        patches = vision.vision_model.embeddings
        patches.patch_embedding.weight.normal_(0, (3 * sizes.patch**2) ** -0.5)
        patches.position_embedding.weight.copy_(
            0.5 * _sin_cos(patches.position_embedding.num_embeddings, sizes.vision_width, grid=True)
        )
    return text, vision


def autoencoder(sizes: TinySizes, size: int) -> AutoencoderKL:
    """A KL autoencoder that shrinks by 2 per width after the first."""
    widths = sizes.vae_widths
    return AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=size,
        mid_block_add_attention=False,
    )


def unet(sizes: TinySizes, latent_size: int) -> UNet2DConditionModel:
    """The conditional UNet: cross-attention to the caption, projected image embedding as class embedding."""
    widths = sizes.unet_widths
    return UNet2DConditionModel(
        sample_size=latent_size,
        block_out_channels=widths,
        down_block_types=("CrossAttnDownBlock2D",) * len(widths),
        up_block_types=("CrossAttnUpBlock2D",) * len(widths),
        layers_per_block=sizes.unet_layers,
        cross_attention_dim=sizes.text_width,
        attention_head_dim=tuple(max(1, width // 32) for width in widths),
        norm_num_groups=16,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=2 * sizes.embedding,
        use_linear_projection=True,
    )


def scheduler() -> PNDMScheduler:
    """The real checkpoint's scheduler configuration; sampling swaps in DDIM."""
    return PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        set_alpha_to_one=False,
        skip_prk_steps=True,
        steps_offset=1,
    )


def image_noising_scheduler() -> DDPMScheduler:
    return DDPMScheduler(beta_schedule="squaredcos_cap_v2")


def image_processor(size: int) -> CLIPImageProcessor:
    """[0, 1] images to [-1, 1] at the tower's size."""
    half = [0.5, 0.5, 0.5]
    edge = {"height": size, "width": size}
    return CLIPImageProcessor(size={"shortest_edge": size}, crop_size=edge, image_mean=half, image_std=half)
