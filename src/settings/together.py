"""Choices that are sound by themselves and not together."""

from src.runtime.errors import InputError
from src.settings.sections import Params


def check_one_step(params: Params) -> None:
    """InputError for what a VAE or GAN, which knows noise and a class alone, cannot heed."""
    if params.generator.fit is None or not params.generator.fit.one_step:
        return
    unheeded = {
        "feedback": params.declares("feedback") and params.feedback.criterion != "none",
        "balance": params.budget.balance != "class" or params.budget.name_context,
        "translation": params.declares("synaug") and params.synaug.translation != "none",
    }
    cures = {
        "feedback": "which leaves nothing to guide; set feedback=none",
        "balance": "and knows no contexts; set the budget's balance=class and name_context=false",
        "translation": "from no other image; set synaug.translation=none",
    }
    for name, asked in unheeded.items():
        if asked:
            raise InputError(f"generator={params.generator.name} makes an image in one step, {cures[name]}")


def check_committee(params: Params, committee: int) -> None:
    """InputError for a criterion of several classifiers where there is one, and for rounds that train one in vain."""
    if "disagreement" in params.feedback.criterion and committee < 2:
        raise InputError(
            "feedback by disagreement needs several base classifiers; set committee to 4, or another feedback"
        )
    if params.online.rounds > 1 and params.feedback.criterion == "chamfer":
        raise InputError("feedback by chamfer asks no classifier that online rounds could train; set online.rounds=1")
