"""What a diagnosis can say: the failures that it knows by name, and a finding."""

from dataclasses import dataclass

WARNING, NOTE = "warning", "note"

LOW = "low diversity"
FAR = "far from the real data"
LABELS = "wrong labels"
INERT = "guidance inert"
DESTRUCTIVE = "guidance destructive"
NO_GAIN = "classifier not improving"
WEAK_BASE = "base classifier too weak"
WEAK_JUDGE = "judge too weak"
TOO_FEW = "too few images to tell"


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
