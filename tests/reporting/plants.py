"""Failures planted into healthy results, and the names that the diagnosis should give them."""

import copy
from typing import Any

from src.reporting.findings import DESTRUCTIVE, FAR, INERT, LABELS, LOW, NO_GAIN, WEAK_BASE
from tests.reporting import made

SHOTS = ("overall", "many", "medium", "few")


def run() -> dict[str, Any]:
    return {"accuracy": made.accuracy(), "quality": made.quality(), "curves": made.curves(), "settings": made.SETTINGS}


def images(metrics: dict[str, Any], arm: str = "guided", **values: float) -> None:
    for shot in SHOTS:
        metrics["quality"][arm]["shipped"][shot] |= values


def feedback(metrics: dict[str, Any], **values: Any) -> None:
    metrics["quality"]["guided"]["feedback"] |= values


def agreement(metrics: dict[str, Any], overall: float, **per_class: float) -> None:
    metrics["quality"]["guided"]["class_agreement"]["overall"] = overall
    metrics["quality"]["guided"]["class_agreement"]["per_class"] |= per_class


def alike(metrics: dict[str, Any]) -> None:
    images(metrics, coverage=0.7, recall=0.2, density=1.1, precision=0.95)


def uncovering(metrics: dict[str, Any]) -> None:
    images(metrics, coverage=0.3, recall=0.8, density=0.9, precision=0.9)


def strange(metrics: dict[str, Any]) -> None:
    images(metrics, fid=25.1, density=0.2, precision=0.35, coverage=0.65)


def much_farther_than_text(metrics: dict[str, Any]) -> None:
    images(metrics, fid=40.0, density=0.4, precision=0.6)
    images(metrics, arm="synaug", fid=8.0)


def mislabelled(metrics: dict[str, Any]) -> None:
    agreement(metrics, 0.4)


def two_classes_swapped(metrics: dict[str, Any]) -> None:
    agreement(metrics, 0.72, two=0.02, three=0.05)


def taught_nothing(metrics: dict[str, Any]) -> None:
    metrics["accuracy"]["guided"] = copy.deepcopy(metrics["accuracy"]["base"])


def taught_harm(metrics: dict[str, Any]) -> None:
    metrics["accuracy"]["guided"] |= {"few": 0.1}


def untrained(metrics: dict[str, Any]) -> None:
    metrics["curves"] = made.curves(last=1.3)


def guessing(metrics: dict[str, Any]) -> None:
    metrics["accuracy"]["base"] |= {"many": 0.3}


def without_gradient(metrics: dict[str, Any]) -> None:
    feedback(metrics, before=0.4, after=0.4, updates=0.5, skipped=3.5)


def never_guided(metrics: dict[str, Any]) -> None:
    feedback(metrics, before=None, after=0.8, updates=0.0, skipped=0.0)


def too_weak(metrics: dict[str, Any]) -> None:
    feedback(metrics, before=0.9, after=0.6)


def hardly_moved(metrics: dict[str, Any]) -> None:
    metrics["settings"] = {**made.SETTINGS, "feedbacks": {"entropy": {"scale": 1e-9}}}


def raised_too_far(metrics: dict[str, Any]) -> None:
    feedback(metrics, after=1.2)
    agreement(metrics, 0.35)
    images(metrics, fid=60.0, density=0.1, precision=0.15)


def hammered(metrics: dict[str, Any]) -> None:
    metrics["settings"] = {**made.SETTINGS, "feedbacks": {"entropy": {"scale": 1.0}}}
    feedback(metrics, after=0.2)
    images(metrics, fid=60.0, density=0.1, precision=0.15)


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
