"""What a diagnosis can say: the failures that it knows by name, and a finding."""

from dataclasses import dataclass

from src.reporting.wording import title

WARNING, NOTE = "warning", "note"

LOW = "low diversity"
FAR = "far from the real data"
LABELS = "wrong labels"
INERT = "guidance inert"
DESTRUCTIVE = "guidance destructive"
NO_GAIN = "classifier not improving"
WEAK_BASE = "base classifier too weak"
WEAK_JUDGE = "judge too weak"
NO_EFFECT = "a later stage without effect"
TOO_FEW = "too few images to tell"


EASIER = "easier than real images"
AS_HARD = "as hard as real images"
HARDER = "harder than real images"

LIMITS = (WEAK_JUDGE, TOO_FEW)  # of what can be told, rather than failures
STATES = (EASIER, AS_HARD, HARDER)  # of images before any feedback
# Each may be the cause of those after it, so that this is also the order in which to see to them.
CAUSES_FIRST = (TOO_FEW, WEAK_BASE, WEAK_JUDGE, DESTRUCTIVE, LABELS, FAR, LOW, INERT, *STATES, NO_EFFECT, NO_GAIN)


@dataclass(frozen=True)
class Finding:
    """What the metrics point to. numbers: those that led to it; advice: what to do."""

    name: str
    arm: str
    numbers: str
    advice: str

    @property
    def severity(self) -> str:
        """A limit is a note, and a state, and so is all of SYNAuG, the baseline without image and feedback, expected to
        be off."""
        return NOTE if self.name in (*LIMITS, *STATES) or self.arm == "synaug" else WARNING

    @property
    def rank(self) -> tuple[bool, int]:
        """By which findings are sorted: warnings first, causes before what they may cause."""
        return self.severity == NOTE, CAUSES_FIRST.index(self.name)

    @property
    def title(self) -> str:
        """The finding with the arm that it is about."""
        return f"{self.name} ({title(self.arm)})"
