"""What finished experiments measured, kept in one tracked file so that no study computes anything twice."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.runtime.arithmetic import arithmetic
from src.runtime.errors import InputError
from src.runtime.files import atomic_write, read_bytes
from src.runtime.machine import processor
from src.settings.arms import ARMS
from src.studies.fingerprint import MEASURES, VALIDATION
from src.studies.origin import PROTOCOL
from src.studies.running import SHEETS, Outcome
from src.studies.study import ACCURACY, FAIRNESS
from src.versions.git import commit_of, experiments, file_at

FILE = Path("metrics/studies/experiments.jsonl")
_DIFFICULTY = "metrics/difficulty_by_shot.json"
_QUALITY = ("fid", "density", "coverage", "precision", "recall")
_REQUIRED = {"name", "seed", "settings", "inputs", "code", "commit", "seconds", "arms"}


class Results:
    """Finished experiments by name, the latest of each.

    {name, seed, settings, inputs, code: digests of `fingerprint`, protocol: absent for 1, commit: whose code it was,
    processor, seconds and arithmetic: None where it was made elsewhere, sheets: whether it has pictures of its own,
    arms: measured on test, validation: accuracies of the same arms there, difficulty: see `measured`}
    """

    def __init__(self, path: Path = FILE) -> None:
        """Read what is there. Raises InputError for a damaged file."""
        self.path = path
        self._rows: dict[str, dict[str, Any]] = {}
        for line in read_bytes(path).splitlines() if path.exists() else ():
            try:
                row = json.loads(line)
                if not set(row) >= _REQUIRED:
                    raise ValueError
                self._rows[row["name"]] = row
            except (ValueError, TypeError):
                raise InputError(f"{path} is damaged; restore it with git") from None

    def get(self, name: str) -> dict[str, Any] | None:
        """The experiment's results, from whatever inputs and by whatever code; None without any."""
        return self._rows.get(name)

    def of(self, settings: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
        """The results of these settings by seed, by whatever code and from whatever inputs."""
        return {row["seed"]: row for row in self._rows.values() if row["settings"] == dict(settings)}

    def seconds(self, settings: Mapping[str, Any] | None = None) -> list[float]:
        """How long finished experiments took, of these settings or of all; nothing of those made elsewhere."""
        rows = [row for row in self._rows.values() if settings is None or row["settings"] == dict(settings)]
        return [row["seconds"] for row in rows if row["seconds"] is not None]

    def protocols(self) -> dict[str, int]:
        """Under which protocol the code of each commit made results, by its short hash."""
        return {row["commit"][:7]: row.get("protocol", 1) for row in self._rows.values()}

    def codes(self) -> dict[str, set[str]]:
        """The commits at which each code made results under today's protocol, by the code's digest."""
        commits: dict[str, set[str]] = {}
        for row in self._rows.values():
            if row.get("protocol", 1) == PROTOCOL:
                commits.setdefault(row["code"], set()).add(row["commit"])
        return commits

    def add(self, outcome: Outcome, inputs: str, code: str, targets: Sequence[str]) -> None:
        """Keep a finished experiment, at once and sorted by name. InputError if DVC keeps no results of it.

        targets: the stages that it was to reach, if it ran here; what others would have left is there of another run.
        """
        experiment, here = outcome.experiment, outcome.seconds is not None
        start, commit = recorded(experiment.name)
        self._rows[experiment.name] = {
            "name": experiment.name,
            "seed": experiment.seed,
            "settings": dict(experiment.settings),
            "inputs": inputs,
            "code": code,
            "protocol": PROTOCOL,
            "commit": start,
            "processor": processor() if here else None,
            "seconds": round(outcome.seconds, 1) if outcome.seconds is not None else None,
            "arithmetic": arithmetic() if here else None,
            "sheets": not here or SHEETS in targets,
            **measured(commit),
        }
        lines = [json.dumps(self._rows[name], sort_keys=True) + "\n" for name in sorted(self._rows)]
        atomic_write(self.path, "".join(lines).encode())


def measured(commit: str) -> dict[str, dict[str, Any]]:
    """Metrics of each arm of an experiment, from the files that git keeps of its commit.

    arms: accuracy on test, and quality. validation: accuracy there. difficulty: the base's mean entropy and loss on
    real validation images and on each arm's, overall and by shot; empty where its code did not measure it.
    """
    accuracy, quality = (json.loads(tracked(commit, path)) for path in MEASURES)
    validation = {arm: json.loads(tracked(commit, path)) for arm, path in VALIDATION.items()}
    return {
        "arms": {arm: {**_accuracy(accuracy[arm]), **_quality(quality.get(arm))} for arm in ARMS},
        "validation": {arm: _accuracy(report) for arm, report in validation.items()},
        "difficulty": json.loads(file_at(Path("."), commit, _DIFFICULTY) or b"{}"),
    }


def recorded(name: str, root: Path = Path(".")) -> tuple[str, str]:
    """The commit that the latest experiment of this name starts from, and its own. InputError if DVC has none."""
    for start, ref in reversed(experiments(root).get(name, [])):
        if commit := commit_of(root, ref):
            return start, commit
    raise InputError(f"DVC keeps no experiment '{name}'; run the study again")


def tracked(commit: str, path: str) -> bytes:
    """A file as it is in the commit of an experiment. Raises InputError if the commit has none."""
    content = file_at(Path("."), commit, path)
    if content is None:
        raise InputError(f"commit {commit[:12]} has no {path}; remove the experiment and run the study again")
    return content


def sheet(name: str, arm: str) -> bytes | None:
    """The contact sheet of an arm of a finished experiment; None if DVC keeps it no more, or it has none."""
    try:
        return file_at(Path("."), recorded(name)[1], f"metrics/sheets/{arm}.png")
    except InputError:
        return None


def _accuracy(report: Mapping[str, Any]) -> dict[str, float | None]:
    groups, fairness = report.get("groups", {}), report.get("fairness", {})
    of_groups = {"worst_group": "worst", "group_mean": "mean", "weighted_mean": "weighted_mean"}
    accuracies = {name: report.get(name, groups.get(of_groups.get(name))) for name in ACCURACY}
    return {**accuracies, **{name: fairness.get(name, {}).get("max") for name in FAIRNESS}}


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
