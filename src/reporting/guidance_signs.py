"""Signs of guidance without effect, or with too much of it, in what the feedback says of itself."""

import math
from collections.abc import Iterator

from src.reporting.findings import DESTRUCTIVE, INERT, Finding
from src.reporting.run_results import Tree, dig, preset
from src.reporting.wording import number, percent, setting

# From the first look to the finished image entropy falls by a third without feedback, at a third of the default scale
# by a sixth, and rises by an eighth at the default (metrics/history/development.json): far beyond that is too much.
FALLEN, RAISED = 0.8, 1.3
SATED = 0.75  # of log(classes), the highest entropy there is; the default ends at .58
ROSE = 1.05  # of the first look, where entropy that is sated can hardly rise more
# Of the latent's norm, which rule `latent` moves by the feedback scale in one update; the released code's is .03.
TINY_STEP, HUGE_STEP = 0.001, 0.3
IDLE = 0.5  # share of updates without a usable gradient


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
        fell = after < before + (FALLEN - 1) * abs(before)
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


def criterion(settings: Tree) -> str:
    """Return the name of the criterion of a run's feedback: "none", or "criterion" where it is not known."""
    return str(preset(settings, "feedbacks").get("criterion") or dig(settings, "feedback") or "criterion")
