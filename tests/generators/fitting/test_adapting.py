"""Fits of a diffusion model to the classes' images: they learn, leave all else alone, and outlive being killed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from src.generators.diffusion_model import DiffusionModel, rows
from src.generators.fitting import lora, methods, task, textual_inversion
from src.generators.fitting.methods import load_fitted, run_fit
from src.generators.tiny import optimise
from src.runtime.errors import InputError
from src.settings.sections import GeneratorSettings
from tests.generators import miniatures
from tests.generators.fitting.tasks import CPU, LABELS, NAMES, coloured
from tests.generators.fitting.tasks import task as make_task

METHODS = ("lora", "textual_inversion")
MODULES = {"lora": lora, "textual_inversion": textual_inversion}


@pytest.fixture
def load(presets: dict[str, miniatures.Preset]) -> Callable[[], DiffusionModel]:
    """The miniature unCLIP, anew each time, because fits change it."""
    return lambda: miniatures.load(presets["unclip"], CPU)


def settings_of(presets: dict[str, miniatures.Preset], **fit: object) -> GeneratorSettings:
    return miniatures.settings_of({**presets["unclip"], "fit": {"steps": 12, "batch": 6, "lr": 0.01, **fit}})


def loss_of(generator: DiffusionModel, words: list[str]) -> float:
    """Of the images under their classes' prompts, over fixed noise."""
    told = rows(generator.text([f"a photo of a {word}" for word in words]), LABELS.tolist())
    condition, loss = {**told, **generator.no_image(len(LABELS))}, task.DiffusionLoss(generator)
    with torch.no_grad():
        draws = torch.Generator().manual_seed(1)
        return float(torch.stack([loss(coloured(), condition, draws) for _ in range(8)]).mean())


@pytest.mark.parametrize("method", METHODS)
def test_a_fitted_generator_explains_the_images_better(
    presets: dict[str, miniatures.Preset], load: Callable[[], DiffusionModel], method: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(methods, "FITTED", tmp_path / "fitted")
    run_fit(make_task(tmp_path, method, steps=60, lr=0.02), load, tmp_path / "fitted")
    settings = settings_of(presets, method=method)
    words = textual_inversion.words_of(3) if method == "textual_inversion" else list(NAMES)
    assert loss_of(load_fitted(settings, CPU), words) < loss_of(load(), list(NAMES))


@pytest.mark.parametrize("method", METHODS)
def test_a_fit_killed_anywhere_goes_on_to_the_same_tensors(
    load: Callable[[], DiffusionModel], method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimise, "CHECKPOINT_EVERY", 3)
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    whole = MODULES[method].fit(make_task(tmp_path / "a", method), load)
    drawn, last = task.FitTask.draw, 8

    def killed(self: task.FitTask, purpose: str, step: int) -> tuple:
        if step == last:
            raise KeyboardInterrupt
        return drawn(self, purpose, step)

    monkeypatch.setattr(task.FitTask, "draw", killed)
    with pytest.raises(KeyboardInterrupt):
        MODULES[method].fit(make_task(tmp_path / "b", method), load)
    asked: list[int] = []
    monkeypatch.setattr(task.FitTask, "draw", lambda self, p, step: (asked.append(step), drawn(self, p, step))[1])
    resumed = MODULES[method].fit(make_task(tmp_path / "b", method), load)
    assert asked == list(range(6, 12))
    assert all(torch.equal(resumed[name], value) for name, value in whole.items()) and resumed.keys() == whole.keys()


def test_an_adapter_that_has_learnt_nothing_changes_no_bit_and_one_that_has_changes_attention_alone(
    load: Callable[[], DiffusionModel], tmp_path: Path
) -> None:
    tensors = lora.fit(make_task(tmp_path, "lora", rank=2), load)
    assert all(".attn" in name and value.shape[0 if "lora_A" in name else 1] == 2 for name, value in tensors.items())
    plain, fitted, untouched = load(), load(), load()
    lora.apply(fitted, tensors)
    lora.apply(untouched, {name: value if "lora_A" in name else 0 * value for name, value in tensors.items()})
    condition = {**plain.text(["a photo of a zero"]), **plain.no_image(1)}
    z = torch.randn(1, *plain.latent_shape, generator=torch.Generator().manual_seed(0))
    outputs = [made.denoise(z, 500, condition) for made in (plain, untouched, fitted)]
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])
    assert not any(p.requires_grad for p in fitted.pipeline.unet.parameters())


def test_learnt_words_begin_as_their_class_s_name_and_leave_other_prompts_alone(
    load: Callable[[], DiffusionModel], tmp_path: Path
) -> None:
    plain, taught = load(), load()
    table = plain.pipeline.text_encoder.get_input_embeddings()
    ids = [plain.pipeline.tokenizer(name, add_special_tokens=False).input_ids for name in NAMES]
    means: Tensor = torch.stack([table.weight[i].mean(0) for i in ids])
    textual_inversion.apply(taught, {"words": means})
    prompts = ["a photo of a zero", "a bold one", ""]
    assert torch.equal(taught.text(prompts)["states"], plain.text(prompts)["states"])
    said = taught.text([f"a photo of a {word}" for word in textual_inversion.words_of(3)])["states"]
    assert len(ids[0]) > 1 or torch.equal(said[:1], plain.text(prompts[:1])["states"])
    learnt = textual_inversion.fit(make_task(tmp_path, "textual_inversion", lr=0.0), load)["words"]
    assert torch.allclose(learnt, means) and learnt.shape == (3, table.weight.shape[1])


def test_a_class_is_drawn_as_often_as_another_and_its_images_alike(tmp_path: Path) -> None:
    drawn = np.concatenate([make_task(tmp_path, "lora", batch=50).draw("lora", step)[0] for step in range(40)])
    assert np.abs(np.bincount(LABELS[drawn]) / len(drawn) - 1 / 3).max() < 0.04
    assert np.bincount(drawn, minlength=12)[:8].min() > 40


def test_what_was_not_fitted_or_otherwise_is_refused(
    presets: dict[str, miniatures.Preset], load: Callable[[], DiffusionModel], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(methods, "FITTED", tmp_path / "fitted")
    with pytest.raises(InputError, match="holds no fit by lora; run `dvc repro fit_generator`, which makes it"):
        load_fitted(settings_of(presets, method="lora"), CPU)
    with pytest.raises(InputError, match="unknown fit of a generator 'dora'; choose one of: lora, textual_inversion"):
        make_task(tmp_path, "dora")
    coarse = load()
    coarse.dtype = torch.float16
    with pytest.raises(
        InputError, match="a generator is not fitted in float16; set the preset's precision to bfloat16"
    ):
        task.DiffusionLoss(coarse)
    with pytest.raises(InputError, match="fitted to train or corpus, not to data=test"):
        make_task(tmp_path, "lora", data="test")


def test_two_text_encoders_learn_no_word(presets: dict[str, miniatures.Preset]) -> None:
    with pytest.raises(InputError, match="textual inversion is for one text encoder"):
        textual_inversion.apply(miniatures.load(presets["sdxl"], CPU), {"words": torch.zeros(3, 8)})


def test_adapters_of_coarse_networks_learn_in_float32(load: Callable[[], DiffusionModel], tmp_path: Path) -> None:
    def coarse() -> DiffusionModel:
        generator = load()
        generator.dtype = generator.decoder_dtype = torch.bfloat16
        generator.pipeline.unet.to(torch.bfloat16), generator.pipeline.vae.to(torch.bfloat16)
        return generator

    tensors = lora.fit(make_task(tmp_path, "lora", steps=2), coarse)
    exact = [value for value in tensors.values() if not torch.equal(value, value.bfloat16().float())]
    assert len(exact) == len(tensors)  # more digits than bfloat16 has


@pytest.mark.parametrize("name", ["unclip", "sd15", "sd21"])
def test_every_pipeline_of_one_text_encoder_can_be_given_adapters(
    presets: dict[str, miniatures.Preset], name: str, tmp_path: Path
) -> None:
    tensors = lora.fit(make_task(tmp_path, "lora", steps=2), lambda: miniatures.load(presets[name], CPU))
    assert all(torch.isfinite(value).all() for value in tensors.values())
