"""A distilled decoder for the shipped generator, as TAESD is for Stable Diffusion: for feedback decoder=tiny alone.

    python -m benchmarks.tiny_decoder

It learns to draw what the generator's own decoder draws, from latents of the rendered corpus with a little noise, and
is saved in the diffusers format. It resumes after a kill.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from diffusers import AutoencoderTiny
from torch import Tensor

from src.data.pose import PoseRange
from src.generators.loading import load
from src.generators.tiny.corpus import render
from src.generators.tiny.networks import encode_latents
from src.generators.tiny.optimise import Budget, optimise
from src.runtime.entry import run_stage
from src.runtime.files import atomic_write, hash_tree, read_bytes
from src.runtime.scratch import Scratch
from src.runtime.seeds import derive, numpy_generator, torch_generator

IMAGES, WIDTH, NOISE = 20000, 16, 0.3
BUDGET = Budget(steps=2000, batch=64, lr=0.001, ema=0.99)
OUT = Path("models/tiny_decoder")
CARD = """# Tiny decoder

An `AutoencoderTiny` whose decoder imitates that of `models/tiny_unclip` at a fifth of the operations. Only feedback
with `decoder=tiny` looks through it; stored images never do. Its encoder is untrained. Written by `make tiny-decoder`.
License: Apache-2.0, as the repository.
"""


def main() -> None:
    tiny = yaml.safe_load(read_bytes("params.yaml"))["tiny"]
    folder = "models/tiny_unclip"
    preset = {"path": folder, "revision": None}
    scratch = Scratch("tiny_decoder", {"generator": hash_tree(folder), "code": read_bytes(__file__).decode()})
    generator = load(preset, torch.device("cpu"))
    corpus = render(IMAGES, PoseRange.from_mapping(tiny["pose"]), numpy_generator("decoder corpus", tiny["seed"]))
    vae = generator.pipeline.vae
    latents = encode_latents(vae, corpus, generator.device) * vae.config.scaling_factor
    torch.manual_seed(derive("tiny decoder", tiny["seed"]))
    student = AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(WIDTH,) * 3,
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
    )

    def loss_at(step: int) -> Tensor:
        rng = torch_generator("tiny decoder", tiny["seed"], step)
        z = latents[torch.randint(len(latents), (BUDGET.batch,), generator=rng)]
        amount = NOISE * torch.rand(len(z), 1, 1, 1, generator=rng)
        z = z + amount * torch.randn(z.shape, generator=rng)
        with torch.no_grad():
            wanted = generator.decode(z)
        drawn = student.decode(z).sample
        return F.l1_loss(drawn, wanted) + F.mse_loss(drawn, wanted)

    optimise([student.decoder], loss_at, BUDGET, scratch.path / "decoder.safetensors", "tiny decoder")
    student.half().save_pretrained(scratch.path / "decoder", safe_serialization=True)
    atomic_write(scratch.path / "decoder" / "README.md", CARD.encode())
    scratch.publish("decoder", OUT)


if __name__ == "__main__":
    run_stage(main)
