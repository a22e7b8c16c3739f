"""What every diffusion model does alike: precision, cheaper decoders, sizes, the files it is made of."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

from src.generators.diffusion_model import DiffusionModel
from src.runtime.errors import InputError
from tests.generators import miniatures, parts
from tests.generators.miniatures import Preset, load
from tests.generators.scene import GUIDED, Scene, change
from tests.generators.test_text_to_image import CPU, EMBEDDINGS, PROMPTS, noise, ours, theirs


@pytest.mark.parametrize("decoder", ["half", "tiny"])
def test_feedback_can_look_through_a_cheaper_decoder_which_changes_no_unguided_image(
    scene: Scene, presets: dict[str, Preset], tmp_path: Path, decoder: str
) -> None:
    preset = {**presets["sd15"], "tiny_decoder": miniatures.tiny_decoder(tmp_path / "taesd")}
    here = scene.of(load(preset, CPU))
    full, cheap, plain = (
        here.synthesiser(conditioning="text", feedback=replace(feedback, decoder=name))(scene.plan[:3])
        for feedback, name in ((GUIDED, "full"), (GUIDED, decoder), (replace(GUIDED, scale=0.0), decoder))
    )
    unguided = scene.of(here.generator).synthesiser(conditioning="text")(scene.plan[:3])
    assert not any(np.array_equal(a, b) for (a, _), (b, _) in zip(full, cheap, strict=True))
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(plain, unguided, strict=True))
    z = torch.randn(2, 4, 8, 8)
    assert here.generator.decoder(decoder)(z).shape == (2, 3, *((16, 16) if decoder == "half" else (32, 32)))


@pytest.mark.parametrize("name", ["unclip", "sd15", "sd21", "sdxl"])
def test_in_bfloat16_latents_and_images_stay_float32_and_near(
    scene: Scene, generators: dict[str, DiffusionModel], presets: dict[str, Preset], name: str
) -> None:
    rough, exact = load({**presets[name], "precision": "bfloat16"}, CPU), generators[name]
    told = exact.text(PROMPTS)
    if exact.takes_image:
        told |= exact.image(EMBEDDINGS, 0, torch.zeros(3, 16))
    z = noise(exact) / 3
    assert rough.pipeline.unet.dtype == rough.pipeline.vae.dtype == torch.bfloat16
    for found, expected in (
        (rough.denoise(z, 500, told), exact.denoise(z, 500, told)),
        (rough.decode(z), exact.decode(z)),
    ):
        assert found.dtype == torch.float32 and (found - expected).norm() < 0.05 * expected.norm()
    conditioning = "text_image" if exact.takes_image else "text"
    made = scene.of(rough).synthesiser(change(steps=2), GUIDED, conditioning=conditioning)(scene.plan[:2])
    assert all(meta["updates"] == 2 for _, meta in made)


@pytest.mark.parametrize(("name", "vae"), [("sd15", torch.float16), ("sdxl", torch.float32)])
def test_in_float16_the_decoder_of_sdxl_alone_stays_float32_because_it_overflows(
    presets: dict[str, Preset], name: str, vae: torch.dtype
) -> None:
    loaded = load({**presets[name], "adapter": None}, CPU)
    made = type(loaded)(loaded.pipeline, CPU, torch.float16)  # the preset is refused on a CPU
    assert (made.pipeline.unet.dtype, made.pipeline.vae.dtype) == (torch.float16, vae)


def test_the_image_size_may_differ_from_the_models_own(presets: dict[str, Preset]) -> None:
    """SDXL is told it."""
    made = load({**presets["sdxl"], "adapter": None, "image_size": 48}, CPU)
    assert made.image_size == 48 and made.latent_shape == (4, 12, 12)
    assert torch.allclose(ours(made, made.text(PROMPTS), 5.0), theirs(made, 5.0), rtol=0, atol=1e-5)


def test_checkpoints_with_the_names_and_files_of_their_publication_are_the_same_generators(
    generators: dict[str, DiffusionModel], presets: dict[str, Preset], tmp_path: Path
) -> None:
    """Older names of weights, and a tokenizer that is a vocabulary and its merges."""
    words = generators["sd15"].pipeline.tokenizer
    assert not (Path(presets["sd15"]["path"]) / "tokenizer/tokenizer.json").exists()
    asked = [*PROMPTS, "an unheard-of word, spelled"]
    options = {"padding": "max_length", "max_length": words.model_max_length}
    assert isinstance(words, CLIPTokenizer)
    assert words(asked, **options).input_ids == parts.tokenizer()(asked, **options).input_ids
    before = generators["sd15"]
    before.pipeline.save_pretrained(tmp_path / "today", safe_serialization=True)
    after = load({"path": str(tmp_path / "today"), "revision": None}, CPU)
    assert torch.equal(before.text(PROMPTS)["states"], after.text(PROMPTS)["states"])
    assert torch.equal(before.decode(noise(before)), after.decode(noise(after)))


def test_compile_without_a_compiler_is_one_sentence_and_nothing_is_compiled(
    presets: dict[str, Preset], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: compiled.append(module))
    monkeypatch.setattr("src.generators.diffusion_model.shutil.which", lambda name: None)
    for given, name in (({}, "g++"), ({"CXX": "clang++-99"}, "clang++-99")):
        monkeypatch.delenv("CXX", raising=False)
        for variable, value in given.items():
            monkeypatch.setenv(variable, value)
        with pytest.raises(InputError) as error:
            load({**presets["sd15"], "compile": True}, CPU)
        assert str(error.value) == f"the generator preset's compile=true needs the C++ compiler {name}; install it"
    assert compiled == []


def test_compile_is_of_the_networks_that_every_step_runs_and_only_if_asked_for(
    presets: dict[str, Preset], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: compiled.append(module))
    monkeypatch.setattr("src.generators.diffusion_model.shutil.which", lambda name: f"/bin/{name}")
    for absent in ({}, {"compile": False}):
        assert not load({**presets["sd15"], **absent}, CPU).compiled
    assert compiled == []
    made = load({**presets["sd15"], "compile": True}, CPU)
    assert made.compiled
    pipeline = made.pipeline
    assert [id(module) for module in compiled] == [id(pipeline.unet), id(pipeline.vae.decoder)]


@pytest.mark.parametrize("name", ["unclip", "sd15", "sdxl"])
def test_released_encoders_come_back_when_they_are_asked_again(
    generators: dict[str, DiffusionModel], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another device cannot be had here, so what counts is that every use asks for the generator's own."""
    made, moved = generators[name], []
    for part in made.parts:
        watch(getattr(made.pipeline, part), part, moved, monkeypatch)
    made.release_encoders()
    encoders = [part for part in made.parts if part in ("text_encoder", "text_encoder_2", "image_encoder")]
    assert moved == [(part, "cpu") for part in encoders]
    moved.clear()
    made.text(PROMPTS)
    if made.takes_image:
        made.embed(torch.zeros(1, 3, 32, 32))
    assert sorted(moved) == sorted((part, made.device) for part in encoders)


def watch(network: Any, part: str, moved: list[tuple], monkeypatch: pytest.MonkeyPatch) -> None:
    """Note where the network is moved from now on, and leave it where it is."""

    def to(where: Any) -> Any:
        moved.append((part, where))
        return network

    monkeypatch.setattr(network, "to", to)
