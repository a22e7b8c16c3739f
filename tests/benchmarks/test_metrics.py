"""The metrics' benchmark runs, says what it compared and where, and finds equal values; no time is asserted."""

import json
import sys
from typing import Any

import pytest

from benchmarks import metrics, metrics_large
from benchmarks.measure import alternate, machine
from src.runtime.files import read_json


def test_contestants_take_turns_every_other_round_backwards() -> None:
    order: list[str] = []
    seconds = alternate({name: lambda name=name: order.append(name) for name in "abc"}, 3)
    assert "".join(order) == "abc" + "cba" + "abc"
    assert list(seconds) == ["a", "b", "c"] and all(len(times) == 3 and min(times) >= 0 for times in seconds.values())


def test_the_machine_is_described_without_its_name() -> None:
    facts = machine()
    assert facts["cpu"] and facts["cores"] >= 1 and set(facts["versions"]) >= {"torch", "prdc", "torch-fidelity"}
    assert len(facts["date"]) == len("2000-01-01")
    assert not {"host", "hostname", "node"} & set(facts)
    json.dumps(facts)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("benchmark") / "metrics.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", f"metrics --count 60 --dimensions 12 --repeats 2 --out {out}".split())
        metrics.main()
    return read_json(out)


@pytest.mark.slow
def test_values_equal_those_of_the_packages(report) -> None:
    assert [(row["features"], row["dtype"]) for row in report["neighbours"]] == [
        ("normal", "float32"), ("normal", "float64"), ("classes", "float32"),
    ]  # fmt: skip
    for row in report["neighbours"]:
        assert row["largest_difference_to_prdc_in_float64"] < 1e-12
        assert set(row["values"]) == {"density", "coverage", "precision", "recall"}
    for row in report["frechet"]:
        assert row["relative_error"]["ours"] < 1e-11


@pytest.mark.slow
def test_ratios_are_of_medians_of_all_repetitions(report) -> None:
    row = report["neighbours"][0]
    assert all(len(times) == report["repeats"] == 2 for times in row["seconds"].values())
    assert row["median"]["prdc"] == sum(row["seconds"]["prdc"]) / 2
    ratio = row["times_faster_than_prdc"]["all_four"]
    assert ratio == pytest.approx(row["median"]["prdc"] / row["median"]["all_four"])
    assert [row["count"] for row in report["growth"]] == [12, 24, 60, 120] and report["large"] is None


@pytest.mark.slow
def test_a_large_case_runs_in_a_process_of_its_own_from_files(monkeypatch) -> None:
    monkeypatch.setattr(metrics_large, "REPEATS", {"all_four": 1, "fid": 1})
    case = metrics_large.large(30, 8)
    assert case["count"] == 30 and len(case["fid"]["seconds"]) == 1 and case["fid"]["values"][0] > 0
    assert 0 < case["all_four"]["peak_gib"][0] < 4
    assert set(case["all_four"]["values"][0]) == {"density", "coverage", "precision", "recall"}
