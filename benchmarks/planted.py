"""What the diagnosis says of the runs of studies/planted.yaml, each of which was made to fail in one way.

    python -m stages.study planted
    python -m benchmarks.planted

Keeps the metrics of each run in metrics/studies/planted/runs.json, which the tests read, and what was said of it in
metrics/studies/planted/diagnosis.md. A variant has the name of the finding that it should lead to.
"""

import argparse
import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from src.errors import run_stage
from src.files import atomic_write, write_json
from src.markdown import markdown_table
from src.reporting.diagnosis import diagnose
from src.reporting.findings import Finding
from src.studies.experiments import experiment
from src.studies.read import read_study
from src.studies.results import revision, tracked

FOLDER = Path("metrics/studies/planted")


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    study = read_study("planted")
    (seed,) = study.seeds
    runs = {variant.name: measured(experiment(variant.settings, seed).name) for variant in study.variants}
    write_json(FOLDER / "runs.json", runs)
    table = said(runs)
    atomic_write(FOLDER / "diagnosis.md", table.encode())
    print(table, end="")


def said(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table of every finding, by run. runs: the arguments of `diagnose`, by name."""
    silent = [{"planted": name, "found": "nothing"} for name, run in runs.items() if not diagnose(**run)]
    rows = [{"planted": name, **_told(finding)} for name, run in runs.items() for finding in diagnose(**run)]
    return markdown_table([*silent, *rows], ["planted", "found", "arm", "as", "numbers"])


def measured(name: str) -> dict[str, Any]:
    """The arguments of `diagnose` for an experiment of DVC; of accuracy what it reads, of curves the last row."""
    commit = revision(name)
    accuracy = json.loads(tracked(commit, "metrics/accuracy.json"))
    kept = {
        arm: {key: value for key, value in report.items() if key != "confusion"} for arm, report in accuracy.items()
    }
    rows = list(csv.DictReader(io.StringIO(tracked(commit, "metrics/curves/base.csv").decode())))
    params = yaml.safe_load(tracked(commit, "params.yaml"))
    chosen = {name: params[name] for name in ("feedback", "synth")}
    return {
        "accuracy": kept,
        "quality": json.loads(tracked(commit, "metrics/fid_density_coverage.json")),
        "curves": {"base": [{"loss": float(row["loss"])} for row in rows[-1:]]},
        "settings": {**chosen, "feedbacks": {params["feedback"]: params["feedbacks"][params["feedback"]]}},
    }


def _told(finding: Finding) -> dict[str, str]:
    return {"found": finding.name, "arm": finding.arm, "as": finding.severity, "numbers": finding.numbers}


if __name__ == "__main__":
    run_stage(main)
