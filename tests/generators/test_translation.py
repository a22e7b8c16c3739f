"""Images that begin from real ones: at strength 1 they are those of text alone, at little strength nearly the real."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from src.generators.sampler import SCHEDULERS
from src.shards.pixels import to_tensor
from src.synthesis.translation import Translation
from tests.generators.scene import Scene, change


def begun(scene: Scene) -> list:
    return [replace(p, start=i % len(scene.images)) for i, p in enumerate(scene.plan)]


def made(scene: Scene, name: str, strength: float | None) -> np.ndarray:
    translation = None if strength is None else Translation(scene.generator, scene.images, strength)
    maker = scene.synthesiser(change(scheduler=name), plan=begun(scene), conditioning="text", translation=translation)
    return np.stack([image for image, _ in maker(maker.plan)]).astype(float)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_at_full_strength_an_image_is_that_of_its_prompt_alone(scene: Scene, name: str) -> None:
    assert np.array_equal(made(scene, name, 1.0), made(scene, name, None))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_less_strength_stays_nearer_to_the_image_as_the_autoencoder_gives_it_back(scene: Scene, name: str) -> None:
    chosen = np.array([p.start for p in begun(scene)])
    with torch.no_grad():
        back = scene.generator.decode(scene.generator.encode(scene.images[chosen]))
    kept = ((back.clamp(-1, 1) + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    apart = [np.abs(made(scene, name, s) - kept).mean() for s in (0.25, 0.5, 1.0)]
    assert apart[0] < apart[1] < apart[2]


def test_the_steps_taken_are_the_share_of_the_strength_and_begin_at_their_noise_level(scene: Scene) -> None:
    maker = scene.synthesiser(plan=begun(scene), conditioning="text")
    part, noise = maker.plan[:2], torch.ones(2, *scene.generator.latent_shape)
    maker.schedule.set_timesteps(4)
    z, first = Translation(scene.generator, scene.images, 0.5).begun(part, noise, maker.schedule)
    alpha_bar = float(maker.schedule.alphas_cumprod[int(maker.schedule.timesteps[2])])
    clean = scene.generator.encode(scene.images[[p.start for p in part]])
    assert first == 2 and torch.allclose(z, alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise, atol=1e-6)
    assert Translation(scene.generator, scene.images, 0.0).begun(part, noise, maker.schedule)[1] == 3


def test_an_image_begun_from_a_real_one_says_which(scene: Scene) -> None:
    translation = Translation(scene.generator, scene.images, 0.5)
    maker = scene.synthesiser(plan=begun(scene), conditioning="text", translation=translation)
    assert [meta["start"] for _, meta in maker(maker.plan)] == [p.start for p in maker.plan]


def test_the_latents_of_an_image_are_those_that_the_decoder_expects(scene: Scene) -> None:
    vae, x = scene.generator.pipeline.vae, to_tensor(scene.images[:2])
    with torch.no_grad():
        expected = vae.encode(x).latent_dist.mean * vae.config.scaling_factor
    assert torch.allclose(scene.generator.encode(scene.images[:2]), expected, atol=1e-6)
