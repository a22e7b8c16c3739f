"""The diagnosis on real runs, each made to fail in one way: `studies/planted.yaml`, kept by `benchmarks.planted`."""

import json

import pytest

from benchmarks.planted import FOLDER, diagnoses
from src.reporting.diagnosis import diagnose
from src.reporting.findings import (
    DESTRUCTIVE,
    FAR,
    INERT,
    LABELS,
    LOW,
    NO_GAIN,
    TOO_FEW,
    WARNING,
    WEAK_BASE,
    WEAK_JUDGE,
)
from src.studies.study_files import read_study
from src.versions.import_closure import ROOT

RUNS = json.loads((ROOT / FOLDER / "runs.json").read_text())
# Each plant has the name of what it should lead to; what else is truly wrong with its images is told with it.
WARNINGS = {
    "default": set(),
    INERT: {INERT},
    DESTRUCTIVE: {DESTRUCTIVE, FAR, LABELS, NO_GAIN},
    FAR: {FAR, LABELS},
    LABELS: {LABELS, FAR, NO_GAIN},
    LOW: {LOW},
    WEAK_BASE: {WEAK_BASE},
    NO_GAIN: {NO_GAIN, FAR, LABELS},
    TOO_FEW: set(),
}


def test_every_way_to_fail_of_the_study_was_run():
    assert list(RUNS) == [variant.name for variant in read_study("planted", ROOT / "studies").variants]
    assert set(RUNS) == set(WARNINGS)


@pytest.mark.parametrize("name", RUNS)
def test_a_failure_planted_in_a_real_run_is_named_and_nothing_else_is(name):
    found = [finding for finding in diagnose(**RUNS[name]) if finding.severity == WARNING]
    assert {finding.name for finding in found} == WARNINGS[name]
    assert {finding.arm for finding in found} <= {"guided", "base"}


def test_too_few_images_are_a_note_of_every_measure():
    found = [finding for finding in diagnose(**RUNS[TOO_FEW]) if finding.name == TOO_FEW]
    assert {finding.arm for finding in found} == {"base", "guided", "synaug"}


def test_a_judge_that_knows_nothing_is_told_where_it_is_so():
    weak = {name for name, run in RUNS.items() if WEAK_JUDGE in {finding.name for finding in diagnose(**run)}}
    assert weak == {WEAK_BASE}  # the same five steps train both


def test_what_was_kept_of_the_diagnosis_is_what_it_says():
    assert (ROOT / FOLDER / "diagnosis.md").read_text() == diagnoses(RUNS)
