"""Experiments on their way: run whatever happens to others, and ended as experiment."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from src.studies import running
from src.studies.experiments import Experiment
from src.studies.running import quiet, run_all, shares
from tests.reporting.made import commit, git


@pytest.fixture
def dvc(monkeypatch, tmp_path):
    """Names given to `dvc exp run`, which fails for those in `failing` and hangs for those in `hanging`."""
    calls, failing, hanging, start = [], set(), set(), subprocess.Popen
    monkeypatch.setattr(running, "LOGS", tmp_path / "logs")

    def run(command, **options):
        if command[0] == "git":
            return start(command, **options)
        assert "--force" not in command  # which would run again what the run-cache holds
        name = command[command.index("--name") + 1]
        calls.append(name)
        script = "import sys, time; print('error: the disk is full'); print('ERROR: failed')\n"
        script += "time.sleep(600)" if name in hanging else f"sys.exit({int(name in failing)})"
        return start([sys.executable, "-c", script], **options)

    monkeypatch.setattr(running.subprocess, "Popen", run)
    return calls, failing, hanging


def test_an_experiment_of_the_same_name_makes_room(tmp_path, monkeypatch):
    (tmp_path / "a").touch()
    git(tmp_path, "init", "--quiet")
    made = commit(tmp_path, "an experiment")
    for name in ("s1-old", "s2-old"):
        git(tmp_path, "update-ref", f"refs/exps/00/{'0' * 38}/{name}", made)
    monkeypatch.chdir(tmp_path)
    running.forget("s1-old")
    assert git(tmp_path, "for-each-ref", "--format=%(refname)", "refs/exps").endswith("/s2-old")


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
    chain = [Experiment({"feedback": name}, seed) for seed in (1, 2) for name in ("a", "b", "c")]
    failing.add(chain[1].name)
    outcomes = {}
    run_all(chain, 2, lambda outcome: outcomes.update({outcome.experiment.name: outcome.error}))
    assert set(calls) == {experiment.name for experiment in chain} == set(outcomes)
    assert {name for name, error in outcomes.items() if error} == failing
    assert outcomes[chain[1].name] == "the disk is full"


def test_experiments_of_one_seed_follow_each_other_in_the_order_asked(dvc):
    calls, _, _ = dvc
    chain = [Experiment({"feedback": name}, seed) for name in ("a", "b", "c") for seed in (1, 2)]
    run_all(chain, 2, lambda outcome: None)
    for seed in (1, 2):
        assert [name for name in calls if name.startswith(f"s{seed}-")] == [o.name for o in chain if o.seed == seed]


def test_the_last_seed_is_everyones(dvc):
    """Five seeds for two jobs, or one seed alone: no core waits while an experiment does."""
    chain = [Experiment({"feedback": name}, 1) for name in ("a", "b", "c", "d")]
    running_now, most = set(), []

    def started(experiment):
        running_now.add(experiment.name)
        most.append(len(running_now))

    run_all(chain, 2, lambda outcome: running_now.discard(outcome.experiment.name), started)
    assert max(most) == 2 and sorted(dvc[0]) == sorted(experiment.name for experiment in chain)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core cannot be shared out")
def test_jobs_side_by_side_have_cores_of_their_own(dvc, monkeypatch):
    """Of two processes that share cores, each of several threads, all wait for all."""
    _, _, hanging = dvc
    chain = [Experiment({"feedback": "a"}, seed) for seed in (1, 2)]
    hanging |= {experiment.name for experiment in chain}
    start, processes = running._start, []
    monkeypatch.setattr(running, "_start", lambda *what: processes.append(start(*what)) or processes[-1])

    def compare(experiment):
        if len(processes) == 2:
            one, other = (os.sched_getaffinity(process.pid) for process in processes)
            assert one and other and not one & other and one | other == os.sched_getaffinity(0)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_all(chain, 2, lambda outcome: None, compare)
    assert shares(1) == [set()] and shares(10**4)[0] == set()  # alone, or too many: as the system sees fit


def test_an_interruption_ends_what_runs_and_keeps_what_is_finished(dvc):
    """Ctrl-C reaches the study alone: DVC and its stage are in a session of their own."""
    _, _, hanging = dvc
    chain = [Experiment({"feedback": "a"}, 1), Experiment({"feedback": "b"}, 1), Experiment({"feedback": "c"}, 1)]
    hanging.add(chain[1].name)
    outcomes = []

    def finished(outcome):
        outcomes.append(outcome.experiment.name)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_all(chain, 1, finished)
    assert outcomes == [chain[0].name]


def test_an_interruption_waits_until_dvc_does_not_put_the_work_tree_aside(dvc, tmp_path, monkeypatch):
    """Ended between its stash and the tree's return, DVC leaves the experiment's parameters in the work tree."""
    from dvc.repo import Repo

    git(tmp_path, "init", "--quiet")
    (tmp_path / "params.yaml").write_bytes(Path("params.yaml").read_bytes())
    commit(tmp_path, "a work tree")
    monkeypatch.chdir(tmp_path)
    chain = [Experiment({"feedback": "a"}, 1)]
    dvc[2].add(chain[0].name)
    order, killpg = [], os.killpg
    with Repo.init(str(tmp_path)) as repo:
        repo.lock.lock()

        def back():
            order.append("the tree is back")
            repo.lock.unlock()

        timer = threading.Timer(1.0, back)
        monkeypatch.setattr(running.os, "killpg", lambda *given: [order.append("ended"), killpg(*given)])

        def begun(experiment):
            timer.start()
            os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            run_all(chain, 1, lambda outcome: None, begun)
    assert order == ["the tree is back", "ended"]


def test_an_interruption_reaches_the_others_though_one_has_ended_unheard(dvc, monkeypatch):
    """An ended process has no group to signal; the next one in the set must be told all the same."""
    _, _, hanging = dvc
    chain = [Experiment({"feedback": "a"}, 1), Experiment({"feedback": "b"}, 2)]
    hanging |= {experiment.name for experiment in chain}
    killpg, told = os.killpg, []

    def first_is_gone(group, number):
        told.append(group)
        killpg(group, number)
        if len(told) == 1:
            raise ProcessLookupError

    monkeypatch.setattr(running.os, "killpg", first_is_gone)
    started = []

    def both(experiment):
        started.append(experiment)
        if len(started) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_all(chain, 2, lambda outcome: None, both)
    assert len(told) == 2
