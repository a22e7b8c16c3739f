"""What the diagnosis says of the runs of studies/planted.yaml, each of which was made to fail in one way.

    python -m commands.study planted
    python -m benchmarks.planted

Keeps the metrics of each run in metrics/studies/planted/runs.json, which the tests read, and what it is diagnosed with
in metrics/studies/planted/diagnosis.md. A variant has the name of the finding that it should lead to. A clone has none
of DVC's experiments: there the runs are the kept ones, if they are those of the study's finished experiments.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.reporting.diagnosis import diagnose
from src.reporting.findings import Finding
from src.runtime.entry import run_stage
from src.runtime.errors import InputError
from src.runtime.files import atomic_write, csv_rows, parse_yaml, read_json, write_json
from src.runtime.markdown import markdown_table
from src.studies.experiments import Experiment, experiment_of
from src.studies.fingerprint import inputs_digest
from src.studies.results import Results, recorded, tracked
from src.studies.study_files import read_study

FOLDER = Path("metrics/studies/planted")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kept", action="store_true", help="diagnose what was kept of earlier runs once more")
    options = parser.parse_args()
    study = read_study("planted")
    (seed,) = study.seeds
    file, results = FOLDER / "runs.json", Results()
    kept = read_json(file) if file.exists() else {}
    runs = kept
    if not options.kept:
        runs = {v.name: run_of(experiment_of(v.settings, seed), kept.get(v.name), results) for v in study.variants}
        write_json(file, runs)
    table = diagnoses(runs)
    atomic_write(FOLDER / "diagnosis.md", table.encode())
    print(table, end="")


def run_of(experiment: Experiment, kept: dict[str, Any] | None, results: Results) -> dict[str, Any]:
    """What DVC keeps of an experiment or else what was kept of it before. InputError if that is not the same run."""
    try:
        return measured(experiment.name)
    except InputError:
        row = results.get(experiment.name) if kept else None
        row = row if row is not None and row["inputs"] == inputs_digest(experiment) else None
        if not kept or not row or _overall(kept["accuracy"]) != _overall(row["arms"]):
            raise
        return kept


def _overall(arms: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    return {arm: report["overall"] for arm, report in arms.items()}


def diagnoses(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table of every finding, by run. runs: the arguments of `diagnose`, by name."""
    silent = [{"planted": name, "found": "nothing"} for name, run in runs.items() if not diagnose(**run)]
    rows = [{"planted": name, **_cells(finding)} for name, run in runs.items() for finding in diagnose(**run)]
    return markdown_table([*silent, *rows], ["planted", "found", "arm", "as", "numbers"])


def measured(name: str) -> dict[str, Any]:
    """The arguments of `diagnose` for an experiment of DVC; of accuracy what it reads, of curves the last row."""
    _, commit = recorded(name)
    accuracy = json.loads(tracked(commit, "metrics/accuracy.json"))
    kept = {
        arm: {key: value for key, value in report.items() if key != "confusion"} for arm, report in accuracy.items()
    }
    rows = list(csv_rows(tracked(commit, "metrics/curves/base.csv")))
    params = parse_yaml(tracked(commit, "params.yaml"), "params.yaml")
    chosen = {name: params[name] for name in ("feedback", "synth")}
    return {
        "accuracy": kept,
        "quality": json.loads(tracked(commit, "metrics/fid_density_coverage.json")),
        "curves": {"base": [{"loss": float(row["loss"])} for row in rows[-1:]]},
        "settings": {**chosen, "feedbacks": {params["feedback"]: params["feedbacks"][params["feedback"]]}},
    }


def _cells(finding: Finding) -> dict[str, str]:
    return {"found": finding.name, "arm": finding.arm, "as": finding.severity, "numbers": finding.numbers}


if __name__ == "__main__":
    run_stage(main)
