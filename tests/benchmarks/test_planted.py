"""What `benchmarks.planted` keeps of the experiments of a study that were made to fail."""

import json
import sys

import pytest
import yaml

from benchmarks import planted
from src.reporting.diagnosis import diagnose
from src.reporting.findings import WEAK_BASE
from src.runtime.errors import InputError
from src.studies.experiments import experiment_of
from src.studies.fingerprint import inputs_digest
from src.versions.import_closure import ROOT
from tests.reporting import made

STUDY = {
    "title": "Planted", "question": "Which?", "against": "default", "seeds": "7", "metrics": ["few"],
    "variants": {"default": {}, "no feedback": {"set": {"feedback": "none"}}},
}  # fmt: skip


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository in which DVC keeps one of the study's two experiments."""
    root = made.repository(tmp_path / "repository")
    (root / "studies").mkdir()
    (root / "studies/planted.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["planted"])
    keep(root, experiment_of({}, 7).name)
    return root


def keep(root, name: str) -> None:
    made.git(root, "update-ref", f"refs/exps/00/{'0' * 38}/{name}", "HEAD")


def test_what_is_kept_of_a_run_leads_to_the_same_findings(root, capsys):
    name = experiment_of({"feedback": "none"}, 7).name
    made.change(root / "metrics/accuracy.json", "base", "many", value=0.26)  # of four classes: it guesses
    broken = made.commit(root, "A base that learned nothing")
    made.git(root, "update-ref", f"refs/exps/00/{'0' * 38}/{name}", broken)
    planted.main()
    runs = json.loads((root / "metrics/studies/planted/runs.json").read_text())
    assert list(runs) == ["default", "no feedback"]
    assert "confusion" not in runs["default"]["accuracy"]["base"]
    names = {name: {finding.name for finding in diagnose(**run)} for name, run in runs.items()}
    assert names["no feedback"] - names["default"] == {WEAK_BASE}
    assert WEAK_BASE in capsys.readouterr().out


def finished(root, name: str, overall: dict[str, float]) -> None:
    """Note the experiment as finished with these parameters, with these accuracies of its arms."""
    experiment = experiment_of({"feedback": "none"}, 7)
    arms = {arm: {"overall": value} for arm, value in overall.items()}
    row = {
        "name": name,
        "seed": 7,
        "settings": {},
        "inputs": inputs_digest(experiment),
        "code": "older",
        "commit": "5" * 40,
    }
    row |= {"seconds": 1.0, "arms": arms}
    (root / "metrics/studies/experiments.jsonl").write_text(json.dumps(row) + "\n")


def test_a_clone_says_the_same_from_what_was_kept_of_finished_runs_and_of_no_others(root, capsys):
    """Experiments' commits do not travel with a clone; the rows of the study and what was kept of its runs do."""
    (root / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    (root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    name = experiment_of({"feedback": "none"}, 7).name
    keep(root, name)
    planted.main()
    before = capsys.readouterr().out
    runs = json.loads((root / "metrics/studies/planted/runs.json").read_text())
    overall = {arm: report["overall"] for arm, report in runs["no feedback"]["accuracy"].items()}
    made.git(root, "update-ref", "-d", f"refs/exps/00/{'0' * 38}/{name}")
    finished(root, name, overall)
    planted.main()
    assert capsys.readouterr().out == before
    finished(root, name, {**overall, "guided": 0.123})
    with pytest.raises(InputError, match="run the study again"):
        planted.main()


def test_a_run_that_dvc_does_not_keep_is_asked_for(root):
    with pytest.raises(InputError, match="run the study again"):
        planted.main()
