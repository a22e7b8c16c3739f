"""Matched feedback through the synthesiser: what an image aims at, the nearest candidate, a scale found by a pilot."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from src.feedback.classifier_criterion import values_of
from src.feedback.guidance import Feedback
from src.feedback.real_targets import RealTargets
from src.runtime.files import read_json
from src.shards.store import Shards
from src.synthesis.pilot import matched_round, pilot_scales
from src.synthesis.plan import PlannedImage
from src.synthesis.production import write_plan
from src.synthesis.synthesiser import Synthesiser
from tests.feedback.settings import feedback_settings
from tests.generators.scene import Scene, images_of

CPU = torch.device("cpu")


def ranked(scene: Scene) -> list[PlannedImage]:
    return [replace(p, rank=(k + 0.5) / len(scene.plan)) for k, p in enumerate(scene.plan)]


def matched(scene: Scene, shift: float = 0.0, candidates: int = 1, **changes: object) -> tuple[Synthesiser, Feedback]:
    """Under feedback matched to "real" images: the scene's own unguided ones, their criterion shifted."""
    images, metas = zip(*scene.synthesiser(value=scene.value)(scene.plan), strict=True)
    labels = np.array([meta["label"] for meta in metas])
    values = values_of(scene.value, np.stack(images), labels, CPU)
    settings = feedback_settings(target="real", **{"scale": 0.3, **changes})
    feedback = Feedback(
        scene.value, settings, scene.generator.decode, targets=RealTargets(values + shift, labels, classes=3)
    )
    return scene.synthesiser(plan=ranked(scene), candidates=1).under(feedback, candidates), feedback


def test_every_image_comes_near_to_the_target_that_is_recorded_of_it(scene: Scene) -> None:
    """Of a generator that is too easy by `shift`, and of one that is too hard."""
    plain = scene.synthesiser(value=scene.value)(scene.plan)
    spread = np.ptp([meta["criterion_after"] for _, meta in plain])
    for shift in (spread, -spread):
        synthesiser, _ = matched(scene, shift)
        metas = [meta for _, meta in synthesiser(synthesiser.plan)]
        off = np.mean([abs(meta["criterion_after"] - meta["target"]) for meta in metas])
        before = np.mean([abs(p["criterion_after"] - m["target"]) for (_, p), m in zip(plain, metas, strict=True)])
        assert off < 0.5 * before


def test_targets_and_images_are_the_same_in_any_batch(scene: Scene) -> None:
    synthesiser, _ = matched(scene, 0.01)
    whole, part = synthesiser(synthesiser.plan), synthesiser(synthesiser.plan[4:6])
    assert [meta["target"] for _, meta in whole[4:6]] == [meta["target"] for _, meta in part]
    assert max(np.abs(a.astype(int) - b).max() for (a, _), (b, _) in zip(whole[4:6], part, strict=True)) <= 1


def test_of_candidates_the_one_nearest_to_the_target_is_kept(scene: Scene) -> None:
    synthesiser, feedback = matched(scene, candidates=4, scale=0.0)
    kept = [abs(meta["criterion_after"] - meta["target"]) for _, meta in synthesiser(synthesiser.plan)]
    only = [abs(m["criterion_after"] - m["target"]) for _, m in synthesiser.under(feedback, 1)(synthesiser.plan)]
    assert all(a <= b for a, b in zip(kept, only, strict=True)) and np.mean(kept) < np.mean(only)


@pytest.mark.slow
def test_a_pilot_finds_scales_of_the_right_sign_and_none_for_a_generator_that_is_real(scene: Scene) -> None:
    plain = scene.synthesiser(value=scene.value)(scene.plan)
    spread = np.ptp([meta["criterion_after"] for _, meta in plain])
    found = {}
    for shift in (0.0, spread, -spread):
        synthesiser, feedback = matched(scene, shift, scale=0.2, pilot=3)
        assert feedback.targets is not None
        found[shift] = np.array(pilot_scales(synthesiser, feedback, feedback.targets, 3, 4))
    assert np.abs(found[0.0]).max() < 0.25 * np.abs(found[spread]).max()
    assert (found[spread] > 0).all() and (found[-spread] < 0).all()


@pytest.mark.slow
def test_scales_are_found_once_and_kept_for_whoever_comes_later(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesiser, feedback = matched(scene, 0.01, pilot=2)
    rounds = matched_round(synthesiser, feedback, 2, 4)
    write_plan(synthesiser, synthesiser.plan, 4, tmp_path / "a/shards", "test", rounds=rounds)
    scales = read_json(tmp_path / "a/scales.json")
    assert len(scales) == 3 and scales == pilot_scales(synthesiser, feedback, feedback.targets, 2, 4)
    monkeypatch.setattr("src.synthesis.pilot.pilot_scales", lambda *_: pytest.fail("found again"))
    whole, made = images_of(tmp_path / "a/shards"), Shards(tmp_path / "a/shards")
    assert [made.meta(i)["scale"] for i in range(9)] == pytest.approx([scales[k] for k in made.labels], abs=1e-6)
    (tmp_path / "a/shards/shard-00001.tar").unlink()
    write_plan(synthesiser, synthesiser.plan, 4, tmp_path / "a/shards", "test", rounds=rounds)
    assert np.array_equal(images_of(tmp_path / "a/shards"), whole)
