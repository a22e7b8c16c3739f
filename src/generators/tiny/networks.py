"""Training of the tiny generator's networks on a corpus: autoencoder, CLIP, UNet."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.models.embeddings import get_timestep_embedding
from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
from torch import Tensor, nn
from tqdm import tqdm
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModelWithProjection

from src.generators.tiny.corpus import Corpus
from src.generators.tiny.optimise import optimise
from src.runtime.seeds import torch_generator
from src.settings.sections import AutoencoderSettings, TrainingLength, UnetSettings


def _pixels(corpus: Corpus, index: Tensor, device: torch.device) -> Tensor:
    """Corpus images (B, 3, H, W) in [-1, 1]."""
    return corpus.images[index].to(device).float() / 127.5 - 1


def train_autoencoder(
    vae: AutoencoderKL, corpus: Corpus, settings: AutoencoderSettings, seed: int, checkpoint: Path, device: torch.device
) -> None:
    """L1 + squared error + a small KL; ends with `scaling_factor` = 1 / the latents' standard deviation."""
    vae.to(device)

    def loss_at(step: int) -> Tensor:
        generator = torch_generator("vae", seed, step)
        x = _pixels(corpus, torch.randint(len(corpus), (settings.batch,), generator=generator), device)
        posterior = vae.encode(x).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator).to(device)
        decoded = vae.decode(posterior.mean + posterior.std * noise).sample
        return F.l1_loss(decoded, x) + F.mse_loss(decoded, x) + settings.kl * posterior.kl().mean()

    optimise([vae], loss_at, settings, checkpoint, "autoencoder")
    latents = encode_latents(vae, corpus, device, count=min(4096, len(corpus)))
    vae.register_to_config(scaling_factor=float(1 / latents.std()))


@torch.no_grad()
def _encoded(
    encode: Callable[[Tensor], Tensor], corpus: Corpus, device: torch.device, count: int | None, label: str
) -> Tensor:
    """What `encode` makes of the first `count` corpus images, on the CPU."""
    batches = tqdm(torch.arange(count or len(corpus)).split(256), label, mininterval=2)
    return torch.cat([encode(_pixels(corpus, batch, device)).cpu() for batch in batches])


def encode_latents(vae: AutoencoderKL, corpus: Corpus, device: torch.device, count: int | None = None) -> Tensor:
    """Posterior means (count, 4, h, w) of the first `count` corpus images, unscaled, on the CPU."""
    return _encoded(lambda x: vae.encode(x).latent_dist.mean, corpus, device, count, "latents")


def _matches(corpus: Corpus, index: np.ndarray) -> Tensor:
    """(B, B) true where caption j is true of image i: same class, and all it mentions holds."""
    same = corpus.classes[index][:, None] == corpus.classes[index][None]
    unmet = ~corpus.attributes[index][:, None] & corpus.mentioned[index][None]
    return torch.from_numpy(same & ~unmet.any(-1))


def train_clip(
    text: CLIPTextModelWithProjection,
    vision: CLIPVisionModelWithProjection,
    words: CLIPTokenizer,
    corpus: Corpus,
    settings: TrainingLength,
    seed: int,
    checkpoint: Path,
    device: torch.device,
) -> None:
    """Contrastive training (Radford et al. 2021); every caption true of an image counts as its match."""
    temperature = nn.ParameterList([nn.Parameter(torch.tensor(2.7))]).to(device)
    text.to(device), vision.to(device)
    tokens = words(corpus.captions, padding="max_length", truncation=True, return_tensors="pt").input_ids

    def loss_at(step: int) -> Tensor:
        index = torch.randint(len(corpus), (settings.batch,), generator=torch_generator("clip", seed, step))
        images = F.normalize(vision(pixel_values=_pixels(corpus, index, device)).image_embeds, dim=-1)
        texts = F.normalize(text(input_ids=tokens[index].to(device)).text_embeds, dim=-1)
        logits = temperature[0].exp().clamp(max=100) * images @ texts.T  # (B, B)
        match = _matches(corpus, index.numpy()).to(device).float()
        to_text = -(match / match.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()
        to_image = -(match / match.sum(0, keepdim=True) * logits.log_softmax(0)).sum(0).mean()
        return (to_text + to_image) / 2

    optimise([text, vision, temperature], loss_at, settings, checkpoint, "CLIP")
    embeds = embed_images(vision, corpus, device, count=min(4096, len(corpus)))
    vision.visual_projection.weight.div_(embeds.std(0).mean())  # cosines do not see it; the UNet sees unit scale


def embed_images(
    vision: CLIPVisionModelWithProjection, corpus: Corpus, device: torch.device, count: int | None = None
) -> Tensor:
    """CLIP image embeddings (count, D) of the first `count` corpus images, on the CPU."""
    return _encoded(lambda x: vision(pixel_values=x).image_embeds, corpus, device, count, "embeddings")


def normaliser(embeds: Tensor) -> StableUnCLIPImageNormalizer:
    """The embeddings' mean and standard deviation, as Stable unCLIP stores them."""
    module = StableUnCLIPImageNormalizer(embedding_dim=embeds.shape[1])
    with torch.no_grad():
        module.mean.copy_(embeds.mean(0, keepdim=True))
        module.std.copy_(embeds.std(0, keepdim=True))
    return module.requires_grad_(False)


def _image_condition(
    embeds: Tensor,
    noising: DDPMScheduler,
    unclip: StableUnCLIPImageNormalizer,
    settings: UnetSettings,
    generator: torch.Generator,
) -> Tensor:
    """Class labels (B, 2D) in training: noised to a level uniform in 0..noise_level_max, or absent as a whole (all
    zeros), as Stable unCLIP was trained; no dimension is ever dropped."""
    batch, dim = embeds.shape
    level = torch.randint(settings.noise_level_max + 1, (batch,), generator=generator)
    noised = noising.add_noise(unclip.scale(embeds), torch.randn(batch, dim, generator=generator), level)
    condition = torch.cat([unclip.unscale(noised), get_timestep_embedding(level, dim, True, 0)], 1)
    return condition * (torch.rand(batch, 1, generator=generator) >= settings.image_absent)


def train_feature_space(
    network: nn.Module, corpus: Corpus, settings: TrainingLength, seed: int, checkpoint: Path, device: torch.device
) -> None:
    """A classifier of class and style together, so that its features tell both."""
    network.to(device)
    labels = torch.from_numpy(corpus.classes * len(corpus.style_names) + corpus.styles)

    def loss_at(step: int) -> Tensor:
        index = torch.randint(len(corpus), (settings.batch,), generator=torch_generator("feature space", seed, step))
        return F.cross_entropy(network(_pixels(corpus, index, device)), labels[index].to(device))

    optimise([network], loss_at, settings, checkpoint, "feature space")


def train_unet(
    network: UNet2DConditionModel,
    latents: Tensor,
    hidden: Tensor,
    embeds: Tensor,
    prompts: Tensor,
    noise_schedule: DDPMScheduler,
    noising: DDPMScheduler,
    unclip: StableUnCLIPImageNormalizer,
    settings: UnetSettings,
    seed: int,
    checkpoint: Path,
    device: torch.device,
) -> None:
    """v-prediction (Salimans & Ho 2022) with text and the noised image embedding, either of them absent at times.

    latents: (N, 4, h, w) scaled; hidden: (P + 1, L, C) caption states, the empty caption last; embeds:
    (N, D); prompts: (N,) index of each image's caption in `hidden`.
    """
    network.to(device)
    empty = len(hidden) - 1

    def loss_at(step: int) -> Tensor:
        g = torch_generator("unet", seed, step)
        index = torch.randint(len(latents), (settings.batch,), generator=g)
        z_0 = latents[index]
        t = torch.randint(noise_schedule.config.num_train_timesteps, (settings.batch,), generator=g)
        noise = torch.randn(z_0.shape, generator=g)
        captions = torch.where(torch.rand(settings.batch, generator=g) < settings.text_absent, empty, prompts[index])
        condition = _image_condition(embeds[index], noising, unclip, settings, g)
        z_t, v = noise_schedule.add_noise(z_0, noise, t), noise_schedule.get_velocity(z_0, noise, t)
        predicted = network(
            z_t.to(device), t.to(device), hidden[captions].to(device), class_labels=condition.to(device)
        ).sample
        return F.mse_loss(predicted.float(), v.to(device))

    optimise([network], loss_at, settings, checkpoint, "UNet")
