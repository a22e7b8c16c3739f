"""Choices that are sound by themselves and not together."""

from src.runtime.errors import InputError
from src.settings.sections import FeedbackSettings, GeneratorSettings


def check_guidable(generator: GeneratorSettings, feedback: FeedbackSettings) -> None:
    """InputError for feedback on a generator that makes an image in one step."""
    if generator.fit is not None and generator.fit.one_step and feedback.criterion != "none":
        raise InputError(
            f"generator={generator.name} makes an image in one step, which leaves nothing to guide; set feedback=none"
        )


def check_committee(feedback: FeedbackSettings, committee: int) -> None:
    """InputError for a criterion of several classifiers where there is one."""
    if "disagreement" in feedback.criterion and committee < 2:
        raise InputError(
            "feedback by disagreement needs several base classifiers; set committee to 4, or another feedback"
        )
