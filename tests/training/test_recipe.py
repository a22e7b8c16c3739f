"""Recipes: the learning rate over time, and settings that cannot work."""

from dataclasses import replace

import pytest

from src.errors import InputError

from .fakes import RECIPE


def test_the_learning_rate_warms_up_linearly_and_falls_along_a_cosine() -> None:
    recipe = replace(RECIPE, steps=110, warmup=10, lr=1.0)
    assert recipe.learning_rate(0) == pytest.approx(0.1)
    assert recipe.learning_rate(9) == recipe.learning_rate(10) == 1
    assert recipe.learning_rate(60) == pytest.approx(0.5)
    assert 0 < recipe.learning_rate(109) < 0.001


def test_a_constant_schedule_stays_at_the_peak() -> None:
    recipe = replace(RECIPE, schedule="constant", warmup=0)
    assert {recipe.learning_rate(step) for step in range(recipe.steps)} == {recipe.lr}


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("optimizer", "adam", "unknown optimizer 'adam'; choose one of: sgd, adamw"),
        ("loss", "focal", "unknown loss 'focal'"),
        ("mixing", "blend", "unknown mixing 'blend'"),
        ("augment", "strong", "unknown augment 'strong'"),
        ("schedule", "step", "unknown schedule 'step'"),
        ("steps", 0, "steps must be at least 1, not 0"),
        ("batch", 1, "batch must be at least 2"),
        ("lr", float("nan"), "lr must be finite, not nan"),
        ("warmup", 21, "warmup must lie in"),
        ("label_smoothing", 1.0, "label_smoothing must lie in"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(setting, value, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        replace(RECIPE, **{setting: value})
