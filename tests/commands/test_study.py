"""The command: what it says before it starts, what it refuses, and how it tells of a failure."""

import sys

import pytest

from commands import study
from src.runtime.errors import InputError
from src.studies.experiments import Experiment
from src.studies.results import Results
from src.studies.running import Outcome

FOUR = [Experiment({"feedback": name}, seed) for name in ("none", "loss") for seed in (1, 2)]


def run(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["study", *arguments])
    study.main()


class Campaign:
    """Of four experiments, the second of which fails."""

    def __init__(self, *_):
        self.results, self.experiments, self.failures = Results(), dict.fromkeys(range(4)), {}
        self.targets = {}

    def missing(self):
        return FOUR

    def older(self):
        return FOUR[:3]

    def write(self):
        pass

    def end(self, outcome: Outcome):
        if outcome.experiment == FOUR[1]:
            self.failures[outcome.experiment.name] = "the disk is full"


@pytest.fixture
def four(monkeypatch):
    monkeypatch.setattr(study, "Campaign", Campaign)
    monkeypatch.setattr(study, "git_text", lambda *_: "")
    monkeypatch.setattr(study, "run_all", lambda experiments, jobs, finished, started, targets: [
        (started(e), finished(Outcome(e, 1.0, None))) for e in experiments])  # fmt: skip


def test_a_dry_run_says_what_it_would_take_and_runs_nothing(four, monkeypatch, capsys):
    monkeypatch.setattr(study, "run_all", None)
    run(monkeypatch, "first_three", "--dry")
    said = capsys.readouterr().out
    assert "4 experiments, 0 finished, 4 to run (3 of them have results of older code; those hold if" in said
    assert "about " in said


def test_a_failed_experiment_is_told_and_the_command_fails_after_the_others(four, monkeypatch, capsys):
    with pytest.raises(InputError, match="1 of 4 experiments failed, the rest is done"):
        run(monkeypatch, "first_three")
    assert f"failed: {FOUR[1].name} {{'feedback': 'none'}}: the disk is full" in capsys.readouterr().out


def test_results_belong_to_a_commit(four, monkeypatch):
    monkeypatch.setattr(study, "git_text", lambda *_: " M src/runtime/seeds.py")
    with pytest.raises(InputError, match=r"src/runtime/seeds\.py is not committed"):
        run(monkeypatch, "first_three")


def test_no_experiments_side_by_side_are_refused(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "first_three", "--jobs", "0")
    assert "'0' is no number of experiments; give 1 or more" in capsys.readouterr().err


def test_the_papers_commands_come_without_a_run(monkeypatch, capsys):
    run(monkeypatch, "synaug", "depth", "--paper")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].endswith("commands.study synaug depth --collect") and lines[0].startswith("# SYNAuG")


def test_what_it_will_take_is_what_the_same_settings_took_on_other_seeds(tmp_path, monkeypatch):
    monkeypatch.setattr("src.studies.results.measured", lambda commit: {"arms": {}})
    monkeypatch.setattr("src.studies.results.recorded", lambda name: ("start", "commit"))
    results = Results(tmp_path / "experiments.jsonl")
    assert study.hours(results, FOUR, 1) == pytest.approx(4 * study.FIRST / 3600)
    results.add(Outcome(Experiment({"feedback": "none"}, 7), 100.0, None), "inputs", "code", ())
    results.add(Outcome(Experiment({"feedback": "loss"}, 7), 800.0, None), "inputs", "code", ())
    results.add(Outcome(Experiment({"feedback": "entropy"}, 7), None, None), "inputs", "code", ())
    assert study.hours(results, FOUR, 1) == pytest.approx(1800 / 3600)
    assert study.hours(results, FOUR, 2) == pytest.approx(900 / 3600)
    assert study.hours(results, FOUR, 8) == pytest.approx(800 / 3600)  # the longest of them
