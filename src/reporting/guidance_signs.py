"""Signs of guidance without effect, with too much of it, or with nothing to do, in what the classifier says."""

import math
from collections.abc import Iterator

from src.reporting.findings import AS_HARD, DESTRUCTIVE, EASIER, HARDER, INERT, Finding
from src.reporting.run_results import Tree, dig, preset
from src.reporting.wording import number, percent, setting

# From the first look to the finished image entropy falls by a third without feedback, at .01 of entropy feedback
# by a sixth, and rises by an eighth at its preset's .03 (metrics/history/development.json): far beyond is too much.
FALLEN, RAISED = 0.8, 1.3
SATED = 0.75  # of log(classes), the highest entropy there is; entropy feedback at .03 ends at .58
ROSE = 1.05  # of the first look, where entropy that is sated can hardly rise more
# Of the latent's norm, which rule `latent` moves by the feedback scale in one update; the released code's is .03.
TINY_STEP, HUGE_STEP = 0.001, 0.3
IDLE = 0.5  # share of updates without a usable gradient
TO_DO = {
    EASIER: "Feedback gained where it was so: `-S feedback=hardness`. A lower guidance_scale gained more.",
    AS_HARD: "Feedback has little to add: on digits hardness gained a point or two, matched feedback nothing.",
    HARDER: "Feedback without a target harmed on digits where it was so; of `-S feedback=matched` no harm was told.",
}
UNDECIDED = "Compare with `-S feedback=none` by metrics/validation (docs/when-feedback-helps.md)."


def guidance(quality: Tree, arm: str, settings: Tree, classes: int, damaged: bool) -> Iterator[Finding]:
    """Feedback without effect, or with too much of it. damaged: the images are far off or of the wrong class.

    That the criterion fell below the first look tells nothing of damaged images, where any may fall.
    """
    feedback, chosen = dig(quality, arm, "feedback"), preset(settings, "feedbacks")
    name, scale = criterion(settings), chosen.get("scale")
    if not feedback or name == "none" or scale == 0:
        return
    before, after, updates = (feedback.get(key) for key in ("before", "after", "updates"))
    skipped = feedback.get("skipped") or 0
    tried = None if updates is None else updates + skipped
    step = scale if chosen.get("rule", "latent") == "latent" else None
    numbers = f"mean {name} {number(before)} at the first look, {number(after)} on the finished images"
    numbers += f"; {percent(skipped / tried)} of {number(float(tried), 1)} updates had no gradient" if tried else ""
    numbers += "" if scale is None else f"; feedback scale {setting(scale)}"
    fell = far_up = False
    if before is not None and after is not None:
        sated = name == "entropy" and classes > 1 and after > SATED * math.log(classes)
        fell = not chosen.get("target") and after < before + (FALLEN - 1) * abs(before)
        far_up = after > before + ((ROSE if sated else RAISED) - 1) * abs(before)
    if tried is not None and skipped >= IDLE * tried:
        advice = "A classifier that is always certain, or always says the same, has no gradient: train the base "
        advice += "better, and check the feedback's first and last step."
        yield Finding(INERT, arm, numbers, advice)
    elif damaged and (far_up or (step is not None and step >= HUGE_STEP)):
        advice = "Feedback was strong, and the images do not look real, or do not show their class. Lower its scale; "
        advice += "`-S feedback=none` shows how much of this is its doing."
        yield Finding(DESTRUCTIVE, arm, numbers, advice)
    elif (fell and not damaged) or (step is not None and step <= TINY_STEP):
        advice = "Feedback has not raised its criterion. Raise its scale, or guide more steps (`every`, `last`); "
        advice += "`-S feedback=none` shows what the images are without it."
        yield Finding(INERT, arm, numbers, advice)


def room(difficulty: Tree) -> Iterator[Finding]:
    """Whether images without feedback are easier for the base classifier than held-out real ones, or harder.

    difficulty: metrics/difficulty.json. The loss on few-shot classes decides, as in docs/when-feedback-helps.md, that
    on all where none is judged. Means within two standard errors of their difference are taken for the same.
    """
    by_loss = dig(difficulty, "loss") or {}
    shot = "few" if dig(by_loss, "few", "unguided", "mean") is not None else "overall"
    real, unguided, guided = (dig(by_loss, shot, kind, "mean") for kind in ("real", "unguided", "guided"))
    errors = [dig(by_loss, shot, kind, "standard_error") for kind in ("real", "unguided")]
    if None in (real, unguided, *errors):
        return
    noise = math.hypot(*errors)
    numbers = "mean loss" + (" of few-shot classes" if shot == "few" else "")
    numbers += f": {number(real)} of real validation images, {number(unguided)} of images without feedback"
    numbers += f" (standard error of the difference {number(noise)})"
    numbers += "" if guided is None else f", {number(guided)} of these with it"
    name = AS_HARD if abs(real - unguided) <= 2 * noise else EASIER if unguided < real else HARDER
    yield Finding(name, "guided", numbers, f"{TO_DO[name]} {UNDECIDED}")


def criterion(settings: Tree) -> str:
    """Return the name of the criterion of a run's feedback: "none", or "criterion" where it is not known."""
    return str(preset(settings, "feedbacks").get("criterion") or dig(settings, "feedback") or "criterion")
