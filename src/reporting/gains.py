"""What the arms gain over the base, with the uncertainty of the test images, and the sentence that says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.evaluation.improvement import BASE, BOUND, SHOTS, Predictions, measures
from src.evaluation.paired_tests import bootstrap, outcomes
from src.reporting.findings import main_measure, value_of
from src.reporting.number_format import interval, percent, points
from src.reporting.run_results import Run, dig, title

Ends = tuple[float, float]

# The names of `evaluation.improvement` for what a report calls shorter.
LONG = {**SHOTS, "worst group": "worst group", "overall": "overall", "mean of groups": "mean of groups"}
ADJECTIVE = {"worst group": "worst-group", "few": "few-shot", "overall": "overall"}


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
        """The difference in points with its interval."""
        return f"{points(self.value)} {interval(self.ends)}".strip()


def measures_of(report: Mapping[str, Any]) -> dict[str, float | None]:
    """Return overall, shots and, where there are contexts, groups; None where nothing was measured."""
    found = {name: dig(report, name) for name in ("overall", "many", "medium", "few")}
    if dig(report, "groups"):
        found |= {"worst group": dig(report, "groups", "worst"), "mean of groups": dig(report, "groups", "mean")}
    return found


def gains(run: Run, arm: str) -> dict[str, Gain]:
    """Return the arm's differences to the base, by measure, where both have the measure."""
    base, made = (measures_of(run.accuracy.get(name) or {}) for name in (BASE, arm))
    known = run.told is not None and arm in run.told.right
    ends = intervals(run.told, run.told.right[BASE], run.told.right[arm], run.counts, arm) if known and run.told else {}
    return {
        name: Gain(made[name] - value, ends.get(LONG[name]))  # type: ignore[operator]
        for name, value in base.items()
        if value is not None and made.get(name) is not None
    }


def intervals(
    told: Predictions, before: np.ndarray, after: np.ndarray, counts: list[int], purpose: str
) -> dict[str, Ends]:
    """Return the paired 95 % interval of every measure. before, after: (N,) bool, the right answers of two arms."""
    table = outcomes(before, after, told.stratum, told.strata)
    return {name: bootstrap(table, measure, purpose) for name, measure in measures(told, counts).items()}


def headline(run: Run) -> str:
    """Return the run's main result in one sentence."""
    arm = main_arm(run)
    if BASE not in run.accuracy or dig(run.accuracy, BASE, "overall") is None:
        return "Nothing has been measured in this revision: there is no accuracy of a base classifier."
    measure = main_measure(run.accuracy[BASE])
    before = value_of(run.accuracy[BASE], measure)
    if arm is None:
        return (
            f"The base classifier reaches {percent(before)} {ADJECTIVE[measure]} accuracy; no arm was compared with it."
        )
    made = value_of(run.accuracy[arm], measure)
    gain = gains(run, arm).get(measure)
    if gain is None:
        return (
            f"The base classifier reaches {percent(before)} {ADJECTIVE[measure]} accuracy; {title(arm)}: not measured."
        )
    name = "Guided" if arm == "guided" else title(arm)
    change = "raise" if gain.value > 0 else "lower"
    if gain.clear is False or gain.value == 0:
        return (
            f"{name} synthetic images make no difference beyond noise: {ADJECTIVE[measure]} accuracy is "
            f"{percent(made)} with and {percent(before)} without them, a difference of {gain.text} points."
        )
    if gain.clear is None:
        return (
            f"With {title(arm)} synthetic images {ADJECTIVE[measure]} accuracy is "
            f"{percent(made)}, without them {percent(before)}: a difference of {gain.text} points, whose "
            "uncertainty is not known."
        )
    return (
        f"{name} synthetic images {change} {ADJECTIVE[measure]} accuracy from {percent(before)} to {percent(made)}, "
        f"by {gain.text} points."
    )


def main_arm(run: Run) -> str | None:
    """Return the arm that a run is about: guided, or else the first that was retrained."""
    arms = [arm for arm in run.arms if arm not in (BASE, BOUND)]
    return "guided" if "guided" in arms else next(iter(arms), None)
