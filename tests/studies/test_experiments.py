"""Experiments: named by what they are, changed by what changes their results, run whatever happens to others."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import yaml

from src.errors import InputError
from src.files import read_yaml
from src.studies import experiments
from src.studies.experiments import Experiment, experiment, fingerprint, made_here, override, quiet, run_all
from src.studies.results import revision
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


def test_of_experiments_of_one_name_the_latest_is_read(tmp_path):
    """Whatever the hashes of the commits that they start from are: refs are sorted by these."""
    (tmp_path / "a").touch()
    git(tmp_path, "init", "--quiet")
    older = commit(tmp_path, "older")
    tree = git(tmp_path, "rev-parse", f"{older}^{{tree}}")
    date = {**os.environ, "GIT_COMMITTER_DATE": "2099-01-01T00:00:00+00:00"}
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    command = ["git", *who, "commit-tree", tree, "-m", "newer"]
    made = subprocess.run(command, cwd=tmp_path, env=date, check=True, capture_output=True, text=True)
    newer = made.stdout.strip()
    git(tmp_path, "update-ref", f"refs/exps/ff/{'0' * 38}/s1-x", older)
    git(tmp_path, "update-ref", f"refs/exps/00/{'0' * 38}/s1-x", newer)
    assert revision("s1-x", tmp_path) == newer


@pytest.fixture
def pipeline(tmp_path):
    """A repository with a stage that depends on two files, and the commit of an experiment in it."""
    stages = {"synth_guided": {"cmd": "x", "deps": ["src/a.py", "data/split"], "params": ["seed", "feedback"]}}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"dataset": "digits", "seed": 0, "feedback": "none"}))
    (tmp_path / "src").mkdir()
    for name in ("a.py", "b.py"):
        (tmp_path / "src" / name).write_text("first")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "start")
    return tmp_path


def experimented(root, **params):
    """The commit of an experiment with these parameters; the work tree is as before."""
    before = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(yaml.safe_dump({"dataset": "digits", "seed": 3, "feedback": "loss", **params}))
    made = commit(root, "an experiment")
    git(root, "reset", "--hard", "--quiet", "HEAD~1")
    assert (root / "params.yaml").read_text() == before
    return made


def test_an_experiment_is_of_this_code_if_what_stages_read_and_what_was_asked_are_the_same(pipeline):
    one, made = Experiment({"feedback": "loss"}, 3), experimented(pipeline)
    assert made_here(one, made, root=pipeline)
    assert not made_here(Experiment({"feedback": "loss"}, 4), made, root=pipeline)
    assert not made_here(one, experimented(pipeline, feedback="entropy"), root=pipeline)
    (pipeline / "src/b.py").write_text("second, which no stage reads")
    commit(pipeline, "elsewhere")
    assert made_here(one, made, root=pipeline)
    (pipeline / "src/a.py").write_text("second")
    commit(pipeline, "the stage's code")
    assert not made_here(one, made, root=pipeline)


def test_writing_waits_until_dvc_does_not_put_the_work_tree_aside(tmp_path):
    """`dvc exp run` holds DVC's lock from its stash to the tree's return."""
    from dvc.repo import Repo

    git(tmp_path, "init", "--quiet")
    with Repo.init(str(tmp_path)) as repo:
        order = []

        def write():
            with quiet(tmp_path):
                order.append("written")

        with repo.lock:
            writer = threading.Thread(target=write)
            writer.start()
            time.sleep(0.5)
            order.append("tree is back")
        writer.join(timeout=60)
    assert order == ["tree is back", "written"]


def test_a_failed_experiment_says_why_and_the_others_go_on(dvc):
    calls, failing, _ = dvc
    ones = [Experiment({"feedback": name}, seed) for seed in (1, 2) for name in ("a", "b", "c")]
    failing.add(ones[1].name)
    outcomes = {}
    run_all(ones, 2, lambda outcome: outcomes.update({outcome.experiment.name: outcome.error}))
    assert set(calls) == {one.name for one in ones} == set(outcomes)
    assert {name for name, error in outcomes.items() if error} == failing
    assert outcomes[ones[1].name] == "the disk is full"


def test_cores_are_shared_by_the_seeds_there_are_and_not_by_the_lanes_that_were_allowed(dvc, monkeypatch):
    monkeypatch.setattr(experiments.os, "cpu_count", lambda: 12)
    threads = []
    run_all([Experiment({}, seed) for seed in (1, 2, 3)], 12, lambda outcome: threads.append(outcome.threads))
    run_all([Experiment({}, seed) for seed in (1, 2, 3)], 2, lambda outcome: threads.append(outcome.threads))
    assert threads == [4, 4, 4, 6, 6, 6]
    run_all([], 2, lambda outcome: None)


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


def test_an_interruption_reaches_the_others_though_one_has_ended_unheard(dvc, monkeypatch):
    """An ended process has no group to signal; the next one in the set must be told all the same."""
    _, _, hanging = dvc
    ones = [Experiment({"feedback": "a"}, 1), Experiment({"feedback": "b"}, 2)]
    hanging |= {one.name for one in ones}
    killpg, told = os.killpg, []

    def first_is_gone(group, number):
        told.append(group)
        killpg(group, number)
        if len(told) == 1:
            raise ProcessLookupError

    monkeypatch.setattr(experiments.os, "killpg", first_is_gone)
    started = []

    def both(one):
        started.append(one)
        if len(started) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_all(ones, 2, lambda outcome: None, both)
    assert len(told) == 2
