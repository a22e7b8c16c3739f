"""What finished experiments measured, kept in one tracked file so that no study computes anything twice."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.runtime.errors import InputError
from src.runtime.files import atomic_write, read_bytes
from src.studies.running import Outcome
from src.studies.study import ACCURACY, ARMS, FAIRNESS
from src.versions.git import commit_of, experiments, file_at

FILE = Path("metrics/studies/experiments.jsonl")
_QUALITY = ("fid", "density", "coverage", "precision", "recall")


class Results:
    """Finished experiments by name, each {name, seed, settings, fingerprint, seconds, threads, arms}."""

    def __init__(self, path: Path = FILE) -> None:
        """Read what is there. Raises InputError for a damaged file."""
        self.path = path
        self._rows: dict[str, dict[str, Any]] = {}
        for line in read_bytes(path).splitlines() if path.exists() else ():
            try:
                row = json.loads(line)
                self._rows[row["name"]] = row
            except (ValueError, KeyError, TypeError):
                raise InputError(f"{path} is damaged; restore it with git") from None

    def get(self, name: str, fingerprint: str) -> dict[str, Any] | None:
        """The experiment's results if they were made by this state of code and parameters, else None."""
        row = self._rows.get(name)
        return row if row is not None and row["fingerprint"] == fingerprint else None

    def seconds(self, settings: Mapping[str, Any] | None = None) -> list[float]:
        """How long finished experiments took, of these settings or of all; nothing of those made elsewhere."""
        rows = [row for row in self._rows.values() if settings is None or row["settings"] == dict(settings)]
        return [row["seconds"] for row in rows if row["seconds"] is not None]

    def add(self, outcome: Outcome, fingerprint: str) -> None:
        """Keep a finished experiment, at once and sorted by name. InputError if DVC keeps no results of it."""
        one = outcome.experiment
        self._rows[one.name] = {
            "name": one.name,
            "seed": one.seed,
            "settings": dict(one.settings),
            "fingerprint": fingerprint,
            "seconds": None if outcome.seconds is None else round(outcome.seconds, 1),
            "threads": outcome.threads,
            "arms": measured(one.name),
        }
        lines = [json.dumps(self._rows[name], sort_keys=True) + "\n" for name in sorted(self._rows)]
        atomic_write(self.path, "".join(lines).encode())


def measured(name: str) -> dict[str, dict[str, float | None]]:
    """Metrics of each arm of a finished experiment, from the files that git keeps of it."""
    commit = revision(name)
    accuracy = json.loads(tracked(commit, "metrics/accuracy.json"))
    quality = json.loads(tracked(commit, "metrics/fid_density_coverage.json"))
    return {arm: {**_accuracy(accuracy[arm]), **_quality(quality.get(arm))} for arm in ARMS}


def revision(name: str, root: Path = Path(".")) -> str:
    """The latest commit of an experiment by its name. Raises InputError if DVC has none of that name."""
    for _, ref in reversed(experiments(root).get(name, [])):
        if commit := commit_of(root, ref):
            return commit
    raise InputError(f"DVC keeps no experiment '{name}'; run the study again")


def tracked(commit: str, path: str, root: Path = Path(".")) -> bytes:
    """A file as it is in the commit of an experiment. Raises InputError if the commit has none."""
    content = file_at(root, commit, path)
    if content is None:
        raise InputError(f"commit {commit[:12]} has no {path}; remove the experiment and run the study again")
    return content


def sheet(name: str, arm: str, root: Path = Path(".")) -> bytes | None:
    """The contact sheet of an arm of a finished experiment; None if DVC keeps it no more, or it has none."""
    try:
        return file_at(root, revision(name, root), f"metrics/sheets/{arm}.png")
    except InputError:
        return None


def _accuracy(report: Mapping[str, Any]) -> dict[str, float | None]:
    groups = report.get("groups", {})
    found = {"worst_group": groups.get("worst"), "group_mean": groups.get("mean")}
    found["weighted_mean"] = groups.get("weighted_mean")
    differences = {name: report.get("fairness", {}).get(name, {}).get("max") for name in FAIRNESS}
    return {**{name: report[name] if name in report else found.get(name) for name in ACCURACY}, **differences}


def _quality(report: Mapping[str, Any] | None) -> dict[str, float | None]:
    """Quality in the main feature space, the first; nothing for an arm without synthetic images."""
    if report is None:
        return {}
    main = next(iter(report.values()))["overall"]
    return {
        **{name: main[name] for name in _QUALITY},
        "agreement": report["class_agreement"]["overall"],
        **report["base_classifier"],
    }
