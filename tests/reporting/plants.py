"""Failures planted into healthy results, and the names that the diagnosis should give them."""

import copy
from typing import Any

from src.reporting.findings import DESTRUCTIVE, FAR, INERT, LABELS, LOW, NO_GAIN, WEAK_BASE
from tests.reporting import made

SHOTS = ("overall", "many", "medium", "few")


def run() -> dict[str, Any]:
    return {"accuracy": made.accuracy(), "quality": made.quality(), "curves": made.curves(), "settings": made.SETTINGS}


def images(told: dict[str, Any], arm: str = "guided", **values: float) -> None:
    for shot in SHOTS:
        told["quality"][arm]["reference_classifier"][shot] |= values


def feedback(told: dict[str, Any], **values: Any) -> None:
    told["quality"]["guided"]["feedback"] |= values


def agreement(told: dict[str, Any], overall: float, **per_class: float) -> None:
    told["quality"]["guided"]["class_agreement"]["overall"] = overall
    told["quality"]["guided"]["class_agreement"]["per_class"] |= per_class


def alike(told: dict[str, Any]) -> None:
    images(told, coverage=0.7, recall=0.2, density=1.1, precision=0.95)


def uncovering(told: dict[str, Any]) -> None:
    images(told, coverage=0.3, recall=0.8, density=0.9, precision=0.9)


def strange(told: dict[str, Any]) -> None:
    images(told, fid=25.1, density=0.2, precision=0.35, coverage=0.65)


def much_farther_than_text(told: dict[str, Any]) -> None:
    images(told, fid=40.0, density=0.4, precision=0.6)
    images(told, arm="synaug", fid=8.0)


def mislabelled(told: dict[str, Any]) -> None:
    agreement(told, 0.4)


def two_classes_swapped(told: dict[str, Any]) -> None:
    agreement(told, 0.72, two=0.02, three=0.05)


def taught_nothing(told: dict[str, Any]) -> None:
    told["accuracy"]["guided"] = copy.deepcopy(told["accuracy"]["base"])


def taught_harm(told: dict[str, Any]) -> None:
    told["accuracy"]["guided"] |= {"few": 0.1}


def untrained(told: dict[str, Any]) -> None:
    told["curves"] = made.curves(last=1.3)


def guessing(told: dict[str, Any]) -> None:
    told["accuracy"]["base"] |= {"many": 0.3}


def without_gradient(told: dict[str, Any]) -> None:
    feedback(told, before=0.4, after=0.4, updates=0.5, skipped=3.5)


def never_guided(told: dict[str, Any]) -> None:
    feedback(told, before=None, after=0.8, updates=0.0, skipped=0.0)


def too_weak(told: dict[str, Any]) -> None:
    feedback(told, before=0.9, after=0.6)


def hardly_moved(told: dict[str, Any]) -> None:
    told["settings"] = {**made.SETTINGS, "feedbacks": {"entropy": {"scale": 1e-9}}}


def raised_too_far(told: dict[str, Any]) -> None:
    feedback(told, after=1.2)
    agreement(told, 0.35)
    images(told, fid=60.0, density=0.1, precision=0.15)


def hammered(told: dict[str, Any]) -> None:
    told["settings"] = {**made.SETTINGS, "feedbacks": {"entropy": {"scale": 1.0}}}
    feedback(told, after=0.2)
    images(told, fid=60.0, density=0.1, precision=0.15)


PLANTED = {
    alike: LOW,
    uncovering: LOW,
    strange: FAR,
    much_farther_than_text: FAR,
    mislabelled: LABELS,
    two_classes_swapped: LABELS,
    taught_nothing: NO_GAIN,
    taught_harm: NO_GAIN,
    untrained: WEAK_BASE,
    guessing: WEAK_BASE,
    without_gradient: INERT,
    never_guided: INERT,
    too_weak: INERT,
    hardly_moved: INERT,
    raised_too_far: DESTRUCTIVE,
    hammered: DESTRUCTIVE,
}
