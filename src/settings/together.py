"""Choices that are sound by themselves and not together."""

from src.runtime.errors import InputError
from src.settings.sections import Params


def check_one_step(params: Params) -> None:
    """InputError for what a VAE or GAN, which knows noise and a class alone, cannot heed, nor what is no generator."""
    pool, fit, name = params.generator.pool, params.generator.fit, params.generator.name
    if not params.generator.one_step:
        return
    feedback = params.feedback if params.declares("feedback") else None
    judged = feedback is not None and feedback.criterion != "none"
    why = f"generator={name} takes real images as they are" if pool else f"generator={name} makes an image in one step"
    unheeded = {
        "which leaves nothing to guide; set feedback=none": judged and not pool,
        "which leaves nothing to guide; set the feedback preset's scale to 0, as in select, or feedback=none": (
            pool and judged and feedback is not None and feedback.scale != 0
        ),
        "and has no CLIP; set feedback to select or none": (
            pool and feedback is not None and (feedback.criterion == "chamfer" or feedback.reference_weight)
        ),
        "and is fitted to nothing; empty the preset's fit": pool and fit is not None,
        "all chosen before the first round; set online.rounds=1": (
            pool and judged and params.declares("online") and params.online.rounds > 1
        ),
        "and knows no contexts; set the budget's balance=class and name_context=false": (
            params.budget.balance != "class" or params.budget.name_context
        ),
        "from no other image; set synaug.translation=none": (
            params.declares("synaug") and params.synaug.translation != "none"
        ),
    }
    for cure, asked in unheeded.items():
        if asked:
            raise InputError(f"{why}, {cure}")


def check_committee(params: Params, committee: int) -> None:
    """InputError for a criterion of several classifiers where there is one."""
    if "disagreement" in params.feedback.criterion and committee < 2:
        raise InputError(
            "feedback by disagreement needs several base classifiers; set committee to 4, or another feedback"
        )


def check_feedback(params: Params) -> None:
    """InputError for rounds that train a classifier in vain, and for a target that is not of an image's own group."""
    if params.feedback.target is not None and params.budget.balance == "group":
        raise InputError(
            "feedback with target real matches an image with real ones of its class in any context, which are others "
            "than its own group's; set the budget's balance=class, or empty the feedback's target"
        )
    if params.online.rounds > 1 and params.feedback.criterion == "chamfer":
        raise InputError("feedback by chamfer asks no classifier that online rounds could train; set online.rounds=1")
    if params.online.rounds > 1 and params.feedback.pilot is not None:
        raise InputError(
            "a feedback's pilot finds scales for one classifier, and online rounds have several; set online.rounds=1, "
            "or empty the preset's pilot"
        )
