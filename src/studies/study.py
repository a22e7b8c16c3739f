"""A study: one question as a short YAML file, what varies, over which seeds, and what was reported elsewhere.

title, question     what the table is called and what it answers
settings            for every variant, as for `dvc exp run -S`
variants            name: {set: settings of its own, arm: which arm of the pipeline it is read from (guided),
                    against: the variant it is compared with in place of the study's, null for none}
against             the variant from which the others' paired differences are taken
seeds               such as 400-402
metrics             columns, of METRICS; the first is the accuracy to be gained
judged              those that the question is about, whose differences are tested together (the first)
reported            [{variant, metric, value, source}] from the literature; no value is an unknown one, no variant is of
                    a method that has no row here
sheets              whether pictures of each variant are kept, of the first seed (false)
note                what to know before reading the table
unpredicted         why it is not asked what image metrics tell of the gain; absent where it is asked
paper               the same question at the papers' scale: {settings, images, seeds} and, where they are not the
                    study's own, variants, against (the first), metrics, judged, reported; note is told with it. images:
                    to be made in each run, in each of both arms; a variant there may name its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.evaluation.fairness import DIFFERENCES

ARMS = ("base", "synaug", "guided", "all_real")
SYNTHETIC = ("guided", "synaug")
ACCURACY = ("overall", "many", "medium", "few", "macro", "ece", "worst_group", "group_mean", "weighted_mean")
FAIRNESS = tuple(DIFFERENCES)  # the largest over the classes
QUALITY = ("fid", "density", "coverage", "precision", "recall", "agreement", "loss", "entropy")
METRICS = (*ACCURACY, *FAIRNESS, *QUALITY)


@dataclass(frozen=True)
class Variant:
    """One row of a study's table: settings as for `-S`, the arm it is read from, and the row it is compared with.

    images: that each arm makes in a run at the papers' scale; 0 elsewhere, where the budgets say it.
    """

    name: str
    settings: Mapping[str, Any]
    arm: str = "guided"
    against: str | None = None
    images: int = 0


@dataclass(frozen=True)
class Study:
    """A study's file, checked. reported: [{variant, metric, value, source}]; paper: the same at the papers' scale."""

    name: str
    title: str
    question: str
    variants: tuple[Variant, ...]
    against: str
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    reported: tuple[Mapping[str, Any], ...] = ()
    sheets: bool = False
    unpredicted: str = ""
    judged: tuple[str, ...] = ()
    paper: "Study | None" = None
    note: str = ""

    def __post_init__(self) -> None:
        if not self.judged:
            object.__setattr__(self, "judged", self.metrics[:1])
