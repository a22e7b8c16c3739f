"""A distilled decoder for the shipped generator, as TAESD is for Stable Diffusion: for feedback decoder=tiny alone.

It learns to draw what the generator's own decoder draws, from latents of the rendered corpus with a little noise, and
is saved in the diffusers format.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor

from src.generators.tiny.glyphs import render
from src.generators.tiny.networks import encode_latents
from src.generators.tiny.optimise import optimise
from src.runtime.files import atomic_write
from src.runtime.seeds import derive, numpy_generator, torch_generator
from src.settings.sections import PoseRange, TinyDecoderSettings

CARD = """# Tiny decoder

An `AutoencoderTiny` whose decoder imitates that of `models/tiny_unclip` at a fifth of the operations. Only feedback
with `decoder=tiny` looks through it; stored images never do. Its encoder is untrained. Written by `make tiny-decoder`.
License: Apache-2.0, as the repository.
"""


def train_decoder(settings: TinyDecoderSettings, pose: PoseRange, teacher: Path, scratch: Path) -> None:
    """Train on the CPU and save to `scratch`/decoder in float16; continues from `scratch` after a kill.

    pose: of the corpus. teacher: folder of the autoencoder whose decoder is imitated.
    """
    device = torch.device("cpu")
    corpus = render(settings.images, pose, numpy_generator("decoder corpus", settings.seed))
    vae = AutoencoderKL.from_pretrained(teacher, torch_dtype=torch.float32, use_safetensors=True)
    vae.requires_grad_(False).eval()
    scale = vae.config.scaling_factor
    latents = encode_latents(vae, corpus, device) * scale
    torch.manual_seed(derive("tiny decoder", settings.seed))
    student = AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(settings.width,) * 3,
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
    )

    def loss_at(step: int) -> Tensor:
        rng = torch_generator("tiny decoder", settings.seed, step)
        z = latents[torch.randint(len(latents), (settings.batch,), generator=rng)]
        amount = settings.noise * torch.rand(len(z), 1, 1, 1, generator=rng)
        z = z + amount * torch.randn(z.shape, generator=rng)
        with torch.no_grad():
            target = vae.decode(z / scale).sample
        drawn = student.decode(z).sample
        return F.l1_loss(drawn, target) + F.mse_loss(drawn, target)

    optimise([student.decoder], loss_at, settings, scratch / "decoder.safetensors", "tiny decoder")
    student.half().save_pretrained(scratch / "decoder", safe_serialization=True)
    atomic_write(scratch / "decoder" / "README.md", CARD.encode())
