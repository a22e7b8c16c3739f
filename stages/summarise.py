"""Stage summarise: the small results into git, and of them the dozen numbers by which DVC compares runs.

Stages leave small results in data/results, where DVC caches them with their images and models; what git keeps, under
metrics, is copied from there. A stage with outputs that DVC does not cache runs again on each return to an earlier
setting, and this one takes a second.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.runtime.files import atomic_write, read_bytes, read_json, write_json
from src.runtime.pipeline import inputs_of
from src.settings.provenance import run

RESULTS, METRICS = Path("data/results"), Path("metrics")
PREFIXES = {"guided": "", "synaug": "syn.", "base": "base."}  # short, so that twelve fit on a line
DECIMALS = 4


def main() -> None:
    for path in inputs_of("summarise"):
        atomic_write(METRICS / Path(path).relative_to(RESULTS), read_bytes(path))
    accuracy, quality = (read_json(RESULTS / f"{name}.json") for name in ("accuracy", "fid_density_coverage"))
    write_json(METRICS / "summary.json", summary(accuracy, quality))


def summary(accuracy: Mapping[str, Any], quality: Mapping[str, Any]) -> dict[str, float | None]:
    """The numbers by short names, rounded; those without an arm's name are the guided arm's, None where there is none.

    accuracy, quality: metrics/accuracy.json and metrics/fid_density_coverage.json. acc, few: shares of the test images
    of all and of few-shot classes; worst: of the worst group, for data with contexts. fid, density, coverage: in the
    main feature space, the first. agreement: share of the images that the reference classifier takes for their class.
    """
    main_space = {arm: next(iter(spaces.values()))["overall"] for arm, spaces in quality.items()}
    numbers: dict[str, float | None] = {}
    for arm, prefix in PREFIXES.items():
        report = accuracy[arm]
        numbers |= {f"{prefix}acc": report["overall"], f"{prefix}few": report["few"]}
        if "groups" in report:
            numbers[f"{prefix}worst"] = report["groups"]["worst"]
    numbers["bound.acc"] = accuracy["all_real"]["overall"]
    numbers["syn.fid"] = main_space["synaug"]["fid"]
    numbers |= {name: main_space["guided"][name] for name in ("fid", "density", "coverage")}
    numbers["agreement"] = quality["guided"]["class_agreement"]["overall"]
    return {name: None if value is None else round(value, DECIMALS) for name, value in numbers.items()}


if __name__ == "__main__":
    run("summarise", main, arguments=False)
