"""Experiments: named by what they are, changed by what changes their results, run whatever happens to others."""

import os
import signal
import subprocess
import sys

import pytest
import yaml

from src.errors import InputError
from src.files import read_yaml
from src.studies import experiments
from src.studies.experiments import Experiment, experiment, fingerprint, override, run_all
from tests.closure import ROOT
from tests.reporting.made import commit, git


def test_settings_that_are_the_defaults_do_not_make_another_experiment():
    default = experiment({}, 7)
    assert experiment({"feedback": "entropy", "synth.image_dropout": 0.3}, 7) == default
    assert experiment({"feedback": "loss"}, 7).name != default.name != experiment({}, 8).name


def test_an_unknown_parameter_is_named():
    with pytest.raises(InputError, match=r"no parameter 'synth\.smell'"):
        experiment({"synth.smell": 1}, 0)


@pytest.mark.parametrize("value", [None, True, 3, 0.25, 1e-9, 1e20, "balanced_softmax", "0.5*entropy+0.5*loss"])
def test_dvc_reads_an_override_as_the_value_that_was_meant(value, tmp_path):
    from dvc.utils.hydra import apply_overrides

    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"a": {"b": "before"}}))
    apply_overrides(tmp_path / "params.yaml", [override("a.b", value)])
    assert read_yaml(tmp_path / "params.yaml") == {"a": {"b": value}}


def test_the_fingerprint_changes_with_what_a_stage_reads_and_with_nothing_else(tmp_path):
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    one = Experiment({"feedback": "loss"}, 3)
    before = fingerprint(one, tmp_path)
    assert before == fingerprint(one, tmp_path) != fingerprint(Experiment({}, 3), tmp_path)
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    params["feedbacks"]["hardness"]["scale"] = 99  # of a preset that is not chosen
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert fingerprint(one, tmp_path) == before
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/digits.yaml").write_text("new")
    assert fingerprint(one, tmp_path) != before


@pytest.fixture
def dvc(monkeypatch, tmp_path):
    """Names given to `dvc exp run`, which fails for those in `failing` and hangs for those in `hanging`."""
    calls, failing, hanging, start = [], set(), set(), subprocess.Popen
    monkeypatch.setattr(experiments, "LOGS", tmp_path / "logs")

    def run(command, **options):
        if command[0] == "git":
            return start(command, **options)
        assert "--force" not in command  # which would run again what the run-cache holds
        name = command[command.index("--name") + 1]
        calls.append(name)
        script = "import sys, time; print('error: the disk is full'); print('ERROR: failed')\n"
        script += "time.sleep(600)" if name in hanging else f"sys.exit({int(name in failing)})"
        return start([sys.executable, "-c", script], **options)

    monkeypatch.setattr(experiments.subprocess, "Popen", run)
    return calls, failing, hanging


def test_an_experiment_of_the_same_name_makes_room(tmp_path, monkeypatch):
    (tmp_path / "a").touch()
    git(tmp_path, "init", "--quiet")
    made = commit(tmp_path, "an experiment")
    for name in ("s1-old", "s2-old"):
        git(tmp_path, "update-ref", f"refs/exps/00/{'0' * 38}/{name}", made)
    monkeypatch.chdir(tmp_path)
    experiments._forget("s1-old")
    assert git(tmp_path, "for-each-ref", "--format=%(refname)", "refs/exps").endswith("/s2-old")


def test_a_failed_experiment_says_why_and_the_others_go_on(dvc):
    calls, failing, _ = dvc
    ones = [Experiment({"feedback": name}, seed) for seed in (1, 2) for name in ("a", "b", "c")]
    failing.add(ones[1].name)
    outcomes = {}
    run_all(ones, 2, lambda outcome: outcomes.update({outcome.experiment.name: outcome.error}))
    assert set(calls) == {one.name for one in ones} == set(outcomes)
    assert {name for name, error in outcomes.items() if error} == failing
    assert outcomes[ones[1].name] == "the disk is full"


def test_experiments_of_one_seed_follow_each_other_in_the_order_asked(dvc):
    calls, _, _ = dvc
    ones = [Experiment({"feedback": name}, seed) for name in ("a", "b", "c") for seed in (1, 2)]
    run_all(ones, 2, lambda outcome: None)
    for seed in (1, 2):
        assert [name for name in calls if name.startswith(f"s{seed}-")] == [o.name for o in ones if o.seed == seed]


def test_an_interruption_ends_what_runs_and_keeps_what_is_finished(dvc):
    """Ctrl-C reaches the study alone: DVC and its stage are in a session of their own."""
    _, _, hanging = dvc
    ones = [Experiment({"feedback": "a"}, 1), Experiment({"feedback": "b"}, 1), Experiment({"feedback": "c"}, 1)]
    hanging.add(ones[1].name)
    outcomes = []

    def finished(outcome):
        outcomes.append(outcome.experiment.name)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_all(ones, 1, finished)
    assert outcomes == [ones[0].name]
