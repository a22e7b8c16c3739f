"""What an arm costs is read from DVC's own lines, and is told as a ratio to what the arm is compared with."""

import pytest

from benchmarks import method_costs
from benchmarks.method_costs import arms_of, seconds_of, stages_of, table
from src.studies.study_files import read_study

LINES = [
    "Running stage 'train_base':",
    "Updating lock file 'dvc.lock'",
    "Stage 'train_committee' is cached - skipping run, checking out outputs",
    "Updating lock file 'dvc.lock'",
    "Running stage 'synth_guided':",
    "> ${LAUNCH:-python} -m stages.synth_guided",
    "Updating lock file 'dvc.lock'",
    "Running stage 'retrain@guided':",
    "Updating lock file 'dvc.lock'",
]


def test_each_stage_is_timed_from_its_start_to_its_lock(monkeypatch):
    """The base's training is every arm's, and not this one's; what did not run took nothing."""
    clock = iter([0.0, 10.0, 73.5, 80.0, 89.0])
    monkeypatch.setattr(method_costs.time, "perf_counter", lambda: next(clock))
    took = seconds_of(LINES, stages_of("guided"))
    assert took == {
        "train_committee": 0,
        "fit_generator": 0,
        "synth_guided": pytest.approx(63.5),
        "merge_balance@guided": 0,
        "retrain@guided": pytest.approx(9),
    }


def test_the_table_says_how_much_more_than_what_it_is_compared_with():
    study = read_study("every_arm")
    took = {v.name: dict.fromkeys(stages_of(v.arm), 10.0) for v in study.variants}
    took["disagreement feedback"]["train_committee"] = 60.0
    lines = {line.split("|")[1].strip(): line for line in table(study, took).splitlines()}
    assert lines["disagreement feedback"].endswith("| 90 | 10 | 2.0 times text + image + dropout |")
    assert lines["base"].endswith("| 0 | 10 | - |")


def test_arms_of_the_same_settings_are_one_experiment():
    study = read_study("every_arm")
    found = arms_of(study)
    assert sum(len(arms) for _, arms in found.values()) == len(study.variants) > len(found)
    assert {"base", "guided", "synaug"} in [arms for _, arms in found.values()]
