"""Sizes of images and of batches: what comes out, and what may not change it."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from src.generators.diffusion_model import DiffusionModel
from src.shards.pixels import to_uint8
from src.synthesis.memory import Fit
from tests.generators.miniatures import load
from tests.generators.scene import GUIDED, Scene


def record_results(generator: DiffusionModel, method: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the generator's method returns from now on."""
    results: list[Any] = []
    original = getattr(generator, method)

    def recorder(*arguments: object) -> Any:
        results.append(original(*arguments))
        return results[-1]

    monkeypatch.setattr(generator, method, recorder)
    return results


@pytest.mark.parametrize("edge", [24, 40])
def test_images_come_out_at_the_size_that_is_asked_for(
    scene: Scene, edge: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = record_results(scene.generator, "decode", monkeypatch)
    own, sized = (scene.synthesiser(feedback=GUIDED, size=size)(scene.plan) for size in (None, edge))
    resized = F.interpolate(decoded[-1], (edge, edge), mode="bicubic", antialias=True)
    assert np.array_equal(np.stack([image for image, _ in sized]), to_uint8(resized))
    assert [meta for _, meta in sized] == [meta for _, meta in own]  # the criterion is that of the image as decoded


def test_a_generator_at_another_size_than_its_own_makes_images_of_the_data_sets_size(
    scene: Scene, presets: dict[str, Any]
) -> None:
    large = load({**presets["unclip"], "image_size": 64}, torch.device("cpu"))
    assert large.latent_shape == (4, 16, 16)
    made = scene.of(large).synthesiser(feedback=GUIDED, size=32)
    assert {image.shape for image, _ in made(scene.plan[:2])} == {(32, 32, 3)}
    assert {image.shape for image, _ in scene.of(large).synthesiser()(scene.plan[:1])} == {(64, 64, 3)}


def test_neither_batch_nor_micro_batch_changes_an_image_beyond_rounding(scene: Scene) -> None:
    made = scene.synthesiser(feedback=GUIDED)
    whole = made(scene.plan)
    made.fit = Fit(batch=4, micro_batch=3)
    parts = made(scene.plan)
    for (a, meta_a), (b, meta_b) in zip(whole, parts, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1
        assert {**meta_a, **close(meta_b)} == meta_a


def close(meta: dict[str, Any]) -> dict[str, Any]:
    """Provenance whose floats equal any that differ by rounding alone."""
    return {name: pytest.approx(value, rel=1e-3) if isinstance(value, float) else value for name, value in meta.items()}


def test_without_feedback_the_same_synthesiser_makes_the_unguided_images(scene: Scene) -> None:
    guided, plain = scene.synthesiser(feedback=GUIDED), scene.synthesiser()
    for (a, meta), (b, _) in zip(guided.unguided()(scene.plan), plain(scene.plan), strict=True):
        assert np.array_equal(a, b) and meta["updates"] == 0 and meta["criterion_after"] is None
    assert guided.guide is not None
