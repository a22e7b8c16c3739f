"""A VAE and a GAN learn each class's handwriting, outlive being killed, and make each image by itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from src.generators.fitting import methods, task
from src.generators.fitting.class_conditional import fit_gan, fit_vae, network
from src.generators.fitting.methods import one_step_network, run_fit
from src.generators.tiny import optimise
from src.runtime.errors import InputError
from src.synthesis.one_step import OneStepSynthesiser
from tests.generators import miniatures
from tests.generators.fitting.tasks import CPU, coloured
from tests.generators.fitting.tasks import task as make_task
from tests.generators.scene import Scene

FITS = {"vae": fit_vae, "gan": fit_gan}
ONE_STEP = tuple(FITS)


def nothing() -> None:
    raise AssertionError("no diffusion model is loaded")


@pytest.mark.slow
@pytest.mark.parametrize("method", ONE_STEP)
def test_handwriting_comes_out_as_its_class_and_varied(method: str, tmp_path: Path) -> None:
    """Handwritten digits vary more within a class than between: a network that may, ignores the class or the noise."""
    digits = load_digits()
    pixels = np.kron(digits.images * 255 / 16, np.ones((2, 2))).astype(np.uint8)
    fit = replace(
        make_task(tmp_path, method, steps=700, lr=0.001, batch=64, ema=0.99, kl=0.3),
        images=np.repeat(pixels[..., None], 3, 3), labels=digits.target, words=tuple(map(str, range(10))),
    )  # fmt: skip
    made = network(method, 10, 16, FITS[method](fit, nothing))
    labels = torch.arange(10).repeat_interleave(30)
    images = made(torch.randn(300, *made.shape, generator=torch.Generator().manual_seed(0)), labels)
    judge = LogisticRegression(max_iter=300).fit(pixels.reshape(len(pixels), -1) / 255, digits.target)
    grey = (images.mean(1).flatten(1).numpy() + 1) / 2
    assert judge.score(grey, labels) > 0.75
    spread = grey.reshape(10, 30, -1).std(1).mean()
    real = np.mean([pixels[digits.target == k].std(0).mean() / 255 for k in range(10)])
    assert spread > real / 3


@pytest.mark.parametrize("method", ONE_STEP)
def test_a_fit_killed_anywhere_goes_on_to_the_same_tensors(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimise, "CHECKPOINT_EVERY", 2)
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    whole = FITS[method](make_task(tmp_path / "a", method, steps=6, ema=0.9), nothing)
    drawn = task.FitTask.draw

    def killed(self: task.FitTask, purpose: str, step: int) -> tuple:
        if step == 5:
            raise KeyboardInterrupt
        return drawn(self, purpose, step)

    monkeypatch.setattr(task.FitTask, "draw", killed)
    with pytest.raises(KeyboardInterrupt):
        FITS[method](make_task(tmp_path / "b", method, steps=6, ema=0.9), nothing)
    monkeypatch.setattr(task.FitTask, "draw", drawn)
    resumed = FITS[method](make_task(tmp_path / "b", method, steps=6, ema=0.9), nothing)
    assert all(torch.equal(resumed[name], value) for name, value in whole.items()) and resumed.keys() == whole.keys()


@pytest.mark.parametrize("method", ONE_STEP)
def test_planned_images_are_their_seeds_own(
    presets: dict[str, miniatures.Preset], scene: Scene, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "FITTED", tmp_path / "fitted")
    run_fit(make_task(tmp_path, method, steps=2), nothing, tmp_path / "fitted")
    settings = miniatures.settings_of(
        {**presets["unclip"], "fit": {"method": method, "steps": 2, "batch": 6, "lr": 0.01}}
    )
    maker = OneStepSynthesiser(one_step_network(settings, CPU), scene.plan, 16, CPU)
    whole, part = maker(scene.plan), maker(scene.plan[4:6])
    for (image, meta), planned in zip(whole, scene.plan, strict=True):
        assert image.shape == (16, 16, 3) and (meta["label"], meta["seed"]) == (planned.label, planned.seed)
        assert meta["prompt"] == "" and meta["source"] is None and meta["updates"] == 0
    differences = [np.abs(a.astype(int) - b).max() for (a, _), (b, _) in zip(whole[4:6], part, strict=True)]
    assert max(differences) <= 1
    assert len({image.tobytes() for image, _ in whole}) == len(whole)


def test_the_critic_s_weights_are_no_way_for_the_generator_to_win(tmp_path: Path) -> None:
    """A generator's step leaves the discriminator alone: its loss has no gradient there."""
    from src.generators.fitting.class_conditional import Discriminator

    torch.manual_seed(0)
    critic, x, y = Discriminator(3, 32), torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 0])
    still = {name: value.detach() for name, value in critic.named_parameters()}
    made = x.clone().requires_grad_()
    torch.func.functional_call(critic, still, (made, y)).mean().backward()
    assert made.grad is not None and made.grad.any()
    assert all(p.grad is None for p in critic.parameters())


@pytest.mark.parametrize("edge", [8, 24])
def test_a_size_that_does_not_double_is_refused(edge: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=f"16, 32, 64, ... pixels, not {edge}"):
        fit_vae(replace(make_task(tmp_path, "vae"), images=coloured(edge)), nothing)


def test_a_generator_of_diffusion_is_none_of_one_step(presets: dict[str, miniatures.Preset]) -> None:
    assert one_step_network(miniatures.settings_of(presets["unclip"]), CPU) is None
