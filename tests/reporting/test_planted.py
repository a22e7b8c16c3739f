"""The diagnosis on real runs, each made to fail in one way: `studies/planted.yaml`, kept by `benchmarks.planted`."""

import json

import pytest

from src.reporting.diagnosis import diagnose
from src.reporting.findings import WARNING
from src.studies.study import read_study
from tests.closure import ROOT

RUNS = json.loads((ROOT / "metrics/studies/planted/runs.json").read_text())
SOUND = "default"


@pytest.mark.parametrize("name", [name for name in RUNS if name != SOUND])
def test_a_failure_planted_in_a_real_run_is_named(name):
    assert name in {finding.name for finding in diagnose(**RUNS[name])}


def test_the_healthy_run_has_no_warning():
    assert [finding.name for finding in diagnose(**RUNS[SOUND]) if finding.severity == WARNING] == []


def test_every_way_to_fail_of_the_study_was_run():
    assert list(RUNS) == [variant.name for variant in read_study("planted", ROOT / "studies").variants]
    assert len(RUNS) >= 7
