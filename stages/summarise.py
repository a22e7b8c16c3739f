"""Stage summarise: the small results into git, and of them the numbers by which DVC compares runs, on one line.

Stages leave small results in data/results, where DVC caches them with their images and models; what git keeps, under
metrics, is copied from there. A stage with outputs that DVC does not cache would have to run again for every return to
an earlier setting: this one may.
"""

from pathlib import Path
from typing import Any

from src.runtime.entry import run_stage
from src.runtime.files import atomic_write, read_bytes, read_json, write_json
from src.runtime.pipeline import inputs_of
from src.settings.arms import ARMS, SYNTHETIC

RESULTS, METRICS = Path("data/results"), Path("metrics")
DIGITS = 4  # decimals


def main() -> None:
    for path in inputs_of("summarise"):
        atomic_write(METRICS / Path(path).relative_to(RESULTS), read_bytes(path))
    accuracy, quality = (read_json(RESULTS / f"{name}.json") for name in ("accuracy", "fid_density_coverage"))
    write_json(METRICS / "summary.json", summary(accuracy, quality))


def summary(accuracy: dict[str, Any], quality: dict[str, Any]) -> dict[str, float | None]:
    """The numbers by arm and name, rounded; None where a run has none, such as few-shot classes.

    accuracy, quality: metrics/accuracy.json and metrics/fid_density_coverage.json, of which the first feature space
    counts. Accuracies are shares of the test images; the worst group is there for data with contexts.
    """
    numbers: dict[str, float | None] = {}
    for arm in ARMS:
        report = accuracy[arm]
        numbers |= {f"{arm}.{name}": report[name] for name in ("overall", "few")}
        if "groups" in report:
            numbers[f"{arm}.worst_group"] = report["groups"]["worst"]
    for arm in SYNTHETIC:
        space = next(iter(quality[arm].values()))["overall"]
        numbers |= {f"{arm}.{name}": space[name] for name in ("fid", "density", "coverage")}
        numbers[f"{arm}.agreement"] = quality[arm]["class_agreement"]["overall"]
    return {name: None if value is None else round(value, DIGITS) for name, value in numbers.items()}


if __name__ == "__main__":
    run_stage(main, arguments=False)
