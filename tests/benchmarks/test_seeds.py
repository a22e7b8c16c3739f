"""One seed of a benchmark: a parameter changed with `--set` reaches what makes the images and what trains on them."""

import numpy as np
import pytest

from benchmarks import evidence, seeds
from benchmarks.arms import Arm
from src.data.labelled_images import LabelledImages
from src.data.names import Names
from src.versions.import_closure import ROOT


@pytest.fixture
def seed(monkeypatch):
    """A seed of two real images, with parameters changed as by `--set`."""
    monkeypatch.chdir(ROOT)

    def made(*changes):
        params, one = evidence.settings(changes), object.__new__(seeds.Seed)
        one.params, one.method, one.budget = params, params["train"], params["budgets"]["digits"]
        one.names, one.setting, one._made = Names(["a", "b"], None), None, {}
        one.splits = {"train": LabelledImages(np.zeros((2, 8, 8, 3), np.uint8), np.array([0, 1]), None)}
        return one

    return made


def test_a_second_stage_is_the_arms_own_or_else_the_parameters(seed, monkeypatch):
    told = []
    monkeypatch.setattr(seeds, "replace", lambda setting, **changes: setting)
    monkeypatch.setattr(seeds.Seed, "accuracy", lambda self, model: {})
    monkeypatch.setattr(
        seeds, "train_guided", lambda setting, data, synthetic, retrain, *_: told.append(retrain["second_stage"]) or [0]
    )
    images, provenance = np.zeros((2, 8, 8, 3), np.uint8), [{"label": 0}, {"label": 1}]
    one = seed("retrain.second_stage=crt")
    one.retrain(Arm("entropy"), images, provenance)
    one.retrain(Arm("entropy", method={"second_stage": "dfr"}), images, provenance)
    seed().retrain(Arm("entropy"), images, provenance)
    assert told == ["crt", "dfr", "none"]


def test_as_many_candidates_are_sampled_as_the_feedback_asks_for(seed, monkeypatch):
    told = []
    monkeypatch.setattr(seeds, "feedback_value", lambda *_: None)
    monkeypatch.setattr(seeds, "cut", lambda plan, size: [[]])
    monkeypatch.setattr(seeds.Seed, "critic", lambda self, arm: None)
    monkeypatch.setattr(seeds.Seed, "plan", lambda self, arm: [])

    def synthesiser(*_, **options):
        told.append(options["candidates"])
        return lambda shard: [(np.zeros((8, 8, 3), np.uint8), {})]

    monkeypatch.setattr(seeds, "Synthesiser", synthesiser)
    seed("feedbacks.loss.candidates=3").synthesise(Arm("loss", feedback="loss"), None)
    seed().synthesise(Arm("loss", feedback="loss"), None)
    assert told == [3, 1]
