"""What the arms gain over the base, with the uncertainty of the test images, and the sentence that says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from src.evaluation.improvement import measures
from src.evaluation.paired_tests import outcomes, posterior_interval
from src.reporting.measures import ADJECTIVE, accuracies, label, main_measure
from src.reporting.run_results import Run
from src.reporting.wording import SPACE, percent, points, title
from src.settings.arms import BASE, BOUND

Ends = tuple[float, float]


@dataclass(frozen=True)
class Gain:
    """A difference of two accuracies, and its 95 % interval where both arms' answers are known."""

    value: float
    ends: Ends | None

    @property
    def clear(self) -> bool | None:
        """Whether the interval excludes zero; None without one."""
        return None if self.ends is None else self.ends[0] > 0 or self.ends[1] < 0

    @property
    def text(self) -> str:
        """The difference in points, with its interval in brackets."""
        ends = "" if self.ends is None else f" [{points(self.ends[0])},{SPACE}{points(self.ends[1])}]"
        return points(self.value) + ends


@cache  # a report asks many times, and each draws the same samples
def gains(run: Run, arm: str) -> Mapping[str, Gain]:
    """Return the arm's differences to the base, by measure, where both have the measure."""
    base, other = (accuracies(run.accuracy.get(name)) for name in (BASE, arm))
    right = run.predictions.right if run.predictions else {}
    ends = intervals(run, right[BASE], right[arm], arm) if arm in right else {}
    return {
        name: Gain(after - before, ends.get(label(name)))
        for name, before in base.items()
        if before is not None and (after := other.get(name)) is not None
    }


def intervals(run: Run, before: np.ndarray, after: np.ndarray, purpose: str) -> dict[str, Ends]:
    """Return the paired 95 % interval of every measure, by its `label`; none where the run's answers are not known.

    before, after: (N,) bool, which of the run's test images are right. purpose: addresses the draws of the interval.
    """
    if run.predictions is None:
        return {}
    functions = measures(run.predictions, list(run.train_counts.values()))
    table = outcomes(before, after, run.predictions.stratum, run.predictions.strata)
    return {name: posterior_interval(table, function, purpose) for name, function in functions.items()}


def headline(run: Run) -> str:
    """Return the run's main result in one sentence."""
    base, arm = accuracies(run.accuracy.get(BASE)), main_arm(run)
    if base["overall"] is None:
        return "Nothing has been measured in this revision: there is no accuracy of a base classifier."
    measure = main_measure(run.accuracy[BASE])
    what, before = f"{ADJECTIVE[measure]} accuracy", percent(base[measure])
    if arm is None:
        return f"The base classifier reaches {before} {what}; no arm was compared with it."
    gain = gains(run, arm).get(measure)
    if gain is None:
        return f"The base classifier reaches {before} {what}; {title(arm)}: not measured."
    name, after = title(arm), percent(accuracies(run.accuracy[arm])[measure])
    images = f"{'Guided' if arm == 'guided' else name} synthetic images"
    if gain.clear is False or gain.value == 0:
        return (
            f"Whether {'guided' if arm == 'guided' else name} synthetic images help cannot be told from this run: "
            f"{what} is {after} with and {before} without them, a difference of {gain.text} points."
        )
    if gain.clear is None:
        return (
            f"With {name} synthetic images {what} is {after}, without them {before}: a difference of {gain.text} "
            "points, whose uncertainty is not known."
        )
    change = "raise" if gain.value > 0 else "lower"
    return f"{images} {change} {what} from {before} to {after}, by {gain.text} points."


def improved(run: Run) -> dict[str, bool]:
    """Whether each arm's main accuracy is above the base's beyond noise; without an arm whose answers are not known."""
    if run.predictions is None or BASE not in run.accuracy:
        return {}
    measure = main_measure(run.accuracy[BASE])
    found = {arm: gains(run, arm).get(measure) for arm in run.arms if arm not in (BASE, BOUND)}
    return {arm: bool(gain.clear) and gain.value > 0 for arm, gain in found.items() if gain and gain.clear is not None}


def main_arm(run: Run) -> str | None:
    """Return the arm that a run is about: guided, or else the first that was retrained."""
    arms = [arm for arm in run.arms if arm not in (BASE, BOUND)]
    return "guided" if "guided" in arms else next(iter(arms), None)
