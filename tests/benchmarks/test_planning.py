"""The planning benchmark has ImageNet-LT's published totals, measures every part, and knows a slope when it sees it."""

import json
import sys
import time

import numpy as np
import pytest

from benchmarks import planning
from src.shards.store import Shards


def test_the_profile_has_the_published_sum_and_extremes() -> None:
    counts = planning.profile()
    assert (len(counts), counts.sum(), counts.max(), counts.min()) == (1000, 115_846, 1280, 5)
    assert (1300 - counts).sum() == 1_184_154
    assert abs((counts > 100).sum() - 385) < 20 and abs((counts < 20).sum() - 136) < 20  # published, and not fitted


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("planning")
    planning.write_indices(500, path, 60)
    return path


def test_the_indices_are_sound_and_in_the_order_of_the_plan(folder) -> None:
    counts = planning.profile()[::500]
    real, samples = Shards(folder / "real"), Shards(folder / "made")
    assert np.bincount(real.labels).tolist() == counts.tolist()
    assert np.bincount(samples.labels).tolist() == (1300 - counts).tolist()
    assert samples.meta(0)["index"] == 0 and samples.meta(len(samples) - 1)["index"] == 1299 - counts.min()


@pytest.mark.parametrize("arm", planning.ARMS)
def test_a_run_counts_what_it_planned_and_sums_what_it_measured(folder, arm, monkeypatch, capsys) -> None:
    monkeypatch.setattr(planning, "BATCHES", 3)
    monkeypatch.setattr(sys, "argv", ["planning", "--run", arm, "500", str(folder), str(time.time())])
    planning.main()
    row = json.loads(capsys.readouterr().out)
    counts = planning.profile()[::500]
    full = 1300 if arm == "guided" else counts.max()
    assert (row["classes"], row["real"], row["planned"]) == (2, counts.sum(), (1300 - counts).sum())
    assert row["entries"] == 2 * full and row["shards"] == -(-row["planned"] // 60)
    assert row["prompts"] == 2 if arm == "guided" else 12 < row["prompts"] <= 24  # of twelve modifiers each
    assert {"imports", "plan", "cut", "merge", "write CSV", "read CSV", "build samplers"} < set(row["parts"])
    assert row["cpu_seconds"] == pytest.approx(sum(part["cpu_seconds"] for part in row["parts"].values()))
    peaks = [part["peak_mib"] for part in row["parts"].values()]
    assert peaks == sorted(peaks) and 0 < peaks[-1] <= row["peak_mib"]


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_growth_is_the_power_of_the_cost_without_imports(power) -> None:
    rows = [{"entries": n, "cpu_seconds": 7 + n**power, "parts": {"imports": {"cpu_seconds": 7}}} for n in (10, 20, 80)]
    assert planning.growth(rows) == pytest.approx(power)
