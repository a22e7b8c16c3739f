"""Command improvement: metrics/improvement.md, what balancing improved, from the git-tracked metrics alone.

python -m commands.improvement
"""

from pathlib import Path

from src.evaluation.improvement import improvement_report, read_predictions
from src.runtime.entry import run_stage
from src.runtime.files import atomic_write, read_json
from src.versions.current_results import require_current

OUT = "metrics/improvement.md"


def main() -> None:
    require_current(Path("."))
    report = read_json("metrics/accuracy.json")
    predictions = read_predictions(Path("metrics/confusion"), report)
    atomic_write(OUT, improvement_report(report, predictions).encode())
    print(f"wrote {OUT}")


if __name__ == "__main__":
    run_stage(main, arguments=False)
