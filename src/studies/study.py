"""A study: one question as a short YAML file, what varies, over which seeds, and what was reported elsewhere.

title, question     what the table is called and what it answers
settings            for every variant, as for `dvc exp run -S`; fewer of the same images are `merge.per_class`
variants            name: {set: settings of its own, arm: which arm of the pipeline it is read from (guided),
                    against: the variant or variants it is compared with in place of the study's, null for none}
against             the variant from which the others' paired differences are taken
contrasts           name: {variant: weight}, weights that sum to zero: what is asked of more than two variants, such as
                    whether a gain is larger here than there; tested together with the pairs
seeds               such as 400-402
split               of which the accuracies are: test, or val while something is still to be chosen (test)
metrics             columns, of METRICS; the first is the accuracy to be gained. loss and entropy are the base
                    classifier's mean criteria over the finished images, their gap and distance how far, with sign and
                    without, these are from those on real ones, classes weighing alike; few_gap: of few-shot classes
judged              those that the question is about, whose differences are tested together (the first)
reported            [{variant, metric, value, source}] from the literature; no value is an unknown one, no variant is of
                    a method that has no row here
sheets              variants of which pictures are kept, of the first seed (none), or true for all
note                what to know before reading the table
history             the file in metrics/history that answered the question before there were studies
map                 a regular expression of the variants' names with the groups column, panel and row, to draw the first
                    metric as a map; a variant without panel and row stands in all panels
unpredicted         why it is not asked what image metrics tell of the gain; absent where it is asked
paper               the same question at the papers' scale: {settings, images, seeds} and, where they are not the
                    study's own, variants, against (the first), metrics, judged, reported; note is told with it. images:
                    to be made in each run, in each of both arms; a variant there may name its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from src.evaluation.fairness import DIFFERENCES

ACCURACY = ("overall", "many", "medium", "few", "macro", "ece", "worst_group", "group_mean", "weighted_mean")
FAIRNESS = tuple(DIFFERENCES)  # the largest over the classes
QUALITY = ("fid", "density", "coverage", "precision", "recall", "agreement", "loss", "entropy")
GAPS = ("entropy_gap", "loss_gap")  # the base's means on the guided arm's images, less those on real ones
DISTANCES = ("entropy_distance", "loss_distance")  # the same without their sign
FEW_GAPS = ("entropy_few_gap", "loss_few_gap")  # of few-shot classes
DIFFICULTY = (*GAPS, *DISTANCES, *FEW_GAPS)
METRICS = (*ACCURACY, *FAIRNESS, *QUALITY, *DIFFICULTY)
TEST, VALIDATION = "test", "val"


@dataclass(frozen=True)
class Variant:
    """One row of a study's table: settings as for `-S`, the arm it is read from, and the rows it is compared with.

    images: that each arm makes in a run at the papers' scale; 0 elsewhere, where the budgets say it.
    """

    name: str
    settings: Mapping[str, Any]
    arm: str = "guided"
    against: tuple[str, ...] = ()
    images: int = 0


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study's file, checked. reported: [{variant, metric, value, source}]; paper: the same at the papers' scale."""

    name: str
    title: str
    question: str
    variants: tuple[Variant, ...]
    against: str
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    judged: tuple[str, ...]
    split: str = TEST
    reported: tuple[Mapping[str, Any], ...] = ()
    sheets: tuple[str, ...] = ()
    note: str = ""
    history: str = ""
    map: str = ""
    unpredicted: str = ""
    contrasts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    paper: "Study | None" = None


def values_of(row: Mapping[str, Any], arm: str, split: str) -> dict[str, Any]:
    """What a row of experiments.jsonl says of an arm: the quality of its images, and its accuracies on that split."""
    measured = {**row["arms"][arm], **(_gaps(row) if arm == "guided" else {})}
    if split == TEST:
        return measured
    unknown = dict.fromkeys((*ACCURACY, *FAIRNESS))
    return {**measured, **row.get("validation", {}).get(arm, unknown)}


def _gaps(row: Mapping[str, Any]) -> dict[str, float]:
    """How far the means on the guided arm's images are from those on real ones; of rows that know it."""
    gaps: dict[str, float] = {}
    for name, means in row.get("difficulty", {}).items():
        gap = means["guided"]["overall"] - means["real"]["overall"]
        gaps |= {f"{name}_gap": gap, f"{name}_distance": abs(gap)}
        if None not in (few := [means[kind].get("few") for kind in ("guided", "real")]):
            gaps[f"{name}_few_gap"] = few[0] - few[1]
    return gaps
