"""What was measured of an arm, by the names under which a report speaks of it: accuracies, metrics of its images."""

from src.evaluation.improvement import SHOTS
from src.reporting.run_results import Tree, dig
from src.settings.arms import BOUND

SUBSETS = ("overall", *SHOTS)  # of the test images: all of them, those of classes with many, medium and few images
METRICS = {"fid": "FID", "density": "density", "coverage": "coverage", "agreement": "class agreement"}
ADJECTIVE = {
    "worst group": "worst-group",
    "few": "few-shot",
    "medium": "medium-shot",
    "many": "many-shot",
    "overall": "overall",
}

WEAK = 0.25  # of the way from chance to perfect, below which a classifier tells little; the default's base has .97


def label(measure: str) -> str:
    """Return the measure's name for readers, with the bounds of a shot: also its name in `evaluation.improvement`."""
    return SHOTS.get(measure, measure)


def accuracies(report: Tree | None) -> dict[str, float | None]:
    """Return an arm's accuracy overall, by shot and, where there are contexts, of groups; None if not measured."""
    measured = {name: dig(report, name) for name in SUBSETS}
    if dig(report, "groups"):
        measured |= {"worst group": dig(report, "groups", "worst"), "mean of groups": dig(report, "groups", "mean")}
    return measured


def main_measure(report: Tree | None) -> str:
    """Return what a run is about: the worst group where there are groups, few-shot, or overall accuracy."""
    measured = accuracies(report)
    return next((name for name in ("worst group", "few") if measured.get(name) is not None), "overall")


def bound_of(accuracy: Tree, measure: str) -> float | None:
    """Return what all real images reach; None where the training split holds them all, so that it bounds nothing."""
    return None if dig(accuracy, BOUND, "bound") is False else accuracies(accuracy.get(BOUND)).get(measure)


def above_chance(classes: int) -> float:
    """Return the accuracy from which a classifier is taken to know anything, or the class in question."""
    return 1 / classes + WEAK * (1 - 1 / classes)


def feature_space(quality: Tree, arm: str) -> str | None:
    """Return the feature space that is judged by: the first of `evaluation.features`, as in studies."""
    spaces = (name for name, part in (quality.get(arm) or {}).items() if dig(part, "overall", "fid") is not None)
    return next(spaces, None)


def image_metrics(quality: Tree, arm: str) -> dict[str, Tree]:
    """Return FID, density and coverage of the arm's images where they were measured, by subset."""
    space = feature_space(quality, arm)
    return {name: part for name in SUBSETS if space and (part := dig(quality, arm, space, name))}


def overall_metrics(quality: Tree, arm: str) -> Tree:
    """Return FID, density, coverage and the like of all of the arm's images, as far as measured, and the agreement."""
    agreement = dig(quality, arm, "class_agreement", "overall")
    return {**image_metrics(quality, arm).get("overall", {}), "agreement": agreement}
