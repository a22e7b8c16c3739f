"""Feedback settings of the tests: entropy at every step by the latent rule, and nothing approximate."""

from typing import Any

from src.settings.schema import build
from src.settings.sections import FeedbackSettings

ENTROPY: dict[str, Any] = {
    "criterion": "entropy",
    "scale": 0.03,
    "every": 1,
    "first": 0,
    "last": None,
    "rule": "latent",
    "mix": False,
    "stop_gradient": False,
    "decoder": "full",
    "rescale": False,
    "shrinkage": "tied",
    "candidates": 1,
}


def feedback_settings(**changes: Any) -> FeedbackSettings:
    return build(FeedbackSettings, {**ENTROPY, **changes}, "feedbacks.entropy")
