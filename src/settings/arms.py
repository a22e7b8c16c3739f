"""The arms of a run: the base, what each paper makes of it, and what all real images reach."""

from typing import NamedTuple


class Arm(NamedTuple):
    """title: for readers. classifier: the folder of the arm's trained classifier."""

    title: str
    classifier: str


BASE, BOUND = "base", "all_real"
SYNTHETIC = ("synaug", "guided")  # those with synthetic images, under data/synth/<arm>
ARMS = {
    BASE: Arm("base", "data/base"),
    "synaug": Arm("SYNAuG", "data/retrained/synaug"),
    "guided": Arm("guided", "data/retrained/guided"),
    BOUND: Arm("all real", "data/reference"),
}
