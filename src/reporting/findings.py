"""What a diagnosis says, and how it reads the metrics: shared by the signs of images and of classifiers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.evaluation.improvement import BOUND
from src.reporting.run_results import dig

WARNING, NOTE = "warning", "note"
SHOTS = ("overall", "many", "medium", "few")

LOW = "low diversity"
FAR = "far from the real data"
LABELS = "wrong labels"
INERT = "guidance inert"
DESTRUCTIVE = "guidance destructive"
NO_GAIN = "classifier not improving"
WEAK_BASE = "base classifier too weak"
WEAK_JUDGE = "judge too weak"
TOO_FEW = "too few images to tell"

WEAK = 0.25  # of the way from chance to perfect, below which a classifier tells little; the default's base has .97


@dataclass(frozen=True)
class Finding:
    """What the metrics point to. numbers: those that led to it; severity: warning, or note for what is only a limit."""

    name: str
    arm: str
    severity: str
    numbers: str
    advice: str


def severity_of(arm: str) -> str:
    """A finding about SYNAuG is a note: it is the baseline without image and feedback, expected to be far off."""
    return WARNING if arm == "guided" else NOTE


def space_of(quality: Mapping[str, Any], arm: str) -> str | None:
    """Return the feature space that is judged by: the first of `evaluation.features`, as in studies."""
    spaces = (name for name, part in (quality.get(arm) or {}).items() if dig(part, "overall", "fid") is not None)
    return next(spaces, None)


def shots_of(quality: Mapping[str, Any], arm: str) -> dict[str, Mapping[str, Any]]:
    """Return FID, density and coverage of the arm where they were measured, by shot."""
    space = space_of(quality, arm)
    return {shot: part for shot in SHOTS if space and (part := dig(quality, arm, space, shot))}


def main_measure(report: Mapping[str, Any] | None) -> str:
    """Return what a run is about: the worst group where there are groups, few-shot, or overall accuracy."""
    if dig(report, "groups", "worst") is not None:
        return "worst group"
    return "few" if dig(report, "few") is not None else "overall"


def value_of(report: Mapping[str, Any] | None, measure: str) -> float | None:
    """Return one of the measures of an arm's accuracy."""
    return dig(report, "groups", "worst") if measure == "worst group" else dig(report, measure)


def bound_of(accuracy: Mapping[str, Any], measure: str) -> float | None:
    """Return what all real images reach; None where the training split holds them all, so that it bounds nothing."""
    return None if dig(accuracy, BOUND, "bound") is False else value_of(accuracy.get(BOUND), measure)


def above_chance(classes: int) -> float:
    """Return the accuracy from which a classifier is taken to know anything, or the class in question."""
    return 1 / classes + WEAK * (1 - 1 / classes)
