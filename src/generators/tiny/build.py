"""From a corpus and settings to a Stable unCLIP on disk in the diffusers format: train, save."""

import os
import re
from pathlib import Path

import torch
from diffusers import DDPMScheduler, StableUnCLIPImg2ImgPipeline
from safetensors import SafetensorError
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from src.classifiers import models as classifiers
from src.generators.model_folder import ZERO_SHOT
from src.generators.tiny import components, networks
from src.generators.tiny.corpus import SIZE, Corpus
from src.runtime.checkpoint_file import save_checkpoint
from src.runtime.files import atomic_write
from src.runtime.seeds import derive
from src.settings.sections import TinySettings

FEATURE_SPACE = "feature_space"  # a classifier in the repository's own format, beside the pipeline


@torch.no_grad()
def _caption_states(
    captions: list[str], words: CLIPTokenizer, text: CLIPTextModelWithProjection, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Distinct captions' last hidden states (P + 1, L, C), the empty one last; each caption's row (N,)."""
    distinct = sorted(set(captions))
    tokens = words([*distinct, ""], padding="max_length", truncation=True, return_tensors="pt").input_ids
    states = torch.cat([text.text_model(batch.to(device)).last_hidden_state.cpu() for batch in tokens.split(512)])
    row = {caption: i for i, caption in enumerate(distinct)}
    return states, torch.tensor([row[caption] for caption in captions])


def build(settings: TinySettings, corpus: Corpus, card: str, scratch: Path, out: Path, device: torch.device) -> None:
    """Train everything and save it to `out`; continues from `scratch` after a kill.

    settings: `tiny`, or `tiny_fashion`, of params.yaml. card: the README beside the weights, float16 on disk.
    """
    seed, sizes = settings.seed, settings.sizes
    words = components.tokenizer(corpus.spoken)
    torch.manual_seed(derive("weights", seed))
    text, vision = components.clip_towers(sizes, words, SIZE)
    vae = components.autoencoder(sizes, SIZE)
    network = components.unet(sizes, SIZE // 2 ** (len(sizes.vae_widths) - 1))
    judge = classifiers.build(
        "small_cnn", len(corpus.class_names) * len(corpus.style_names), SIZE, derive("feature space", seed)
    )  # its weights are drawn apart: those of the others stay what they were
    networks.train_autoencoder(vae, corpus, settings.autoencoder, seed, scratch / "vae.safetensors", device)
    networks.train_clip(text, vision, words, corpus, settings.clip, seed, scratch / "clip.safetensors", device)
    networks.train_feature_space(
        judge, corpus, settings.feature_space, seed, scratch / "feature_space.safetensors", device
    )

    embeds = networks.embed_images(vision, corpus, device)
    unclip, noising = networks.normaliser(embeds), components.image_noising_scheduler()
    latents = networks.encode_latents(vae, corpus, device) * vae.config.scaling_factor
    states, prompts = _caption_states(corpus.captions, words, text, device)
    networks.train_unet(
        network,
        latents,
        states,
        embeds,
        prompts,
        DDPMScheduler.from_config(components.scheduler().config),
        noising,
        unclip,
        settings.unet,
        seed,
        scratch / "unet.safetensors",
        device,
    )
    encoder = CLIPTextModel(text.config)
    encoder.load_state_dict(text.text_model.state_dict())
    pipeline = StableUnCLIPImg2ImgPipeline(
        feature_extractor=components.image_processor(SIZE),
        image_encoder=vision,
        image_normalizer=unclip,
        image_noising_scheduler=noising,
        tokenizer=words,
        text_encoder=encoder,
        unet=network,
        scheduler=components.scheduler(),
        vae=vae,
    )
    _save(pipeline.to("cpu", torch.float16), out)
    classifiers.save(judge.cpu(), out / FEATURE_SPACE)
    save_checkpoint(out / ZERO_SHOT, {"weight": text.text_projection.weight.half()}, {})
    atomic_write(out / "README.md", card.encode())


def _save(pipeline: StableUnCLIPImg2ImgPipeline, out: Path) -> None:
    try:
        pipeline.save_pretrained(out, safe_serialization=True)
    except SafetensorError as error:  # safetensors writes by itself, and tells of a full disk in words alone
        if code := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(code[1]), os.strerror(int(code[1])), str(out)) from error
        raise
