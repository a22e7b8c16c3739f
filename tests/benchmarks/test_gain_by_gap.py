"""The gain of feedback against the difficulty of the images without it."""

from dataclasses import replace

import pytest

from benchmarks import gain_by_gap
from src.studies.study import Study, Variant
from src.studies.summary import Difference
from src.versions.import_closure import ROOT

SETTINGS = {
    "none": {"feedback": "none"},
    "hardness": {"feedback": "hardness"},
    "guidance 1, none": {"feedback": "none", "generators.tiny_unclip.guidance_scale": 1.0},
    "guidance 1, matched": {"feedback": "matched", "generators.tiny_unclip.guidance_scale": 1.0},
}
AGAINST = {"hardness": ("none",), "guidance 1, none": ("none",), "guidance 1, matched": ("guidance 1, none", "none")}
ROWS = {  # few-shot accuracy and loss above real, by seed
    "none": [(0.80, -0.4), (0.82, -0.2)],
    "hardness": [(0.83, 0.9), (0.83, 0.8)],
    "guidance 1, none": [(0.70, 0.5), (0.70, 0.5)],
    "guidance 1, matched": [(0.71, 0.0), (0.73, 0.0)],
}


def study(name: str) -> Study:
    variants = tuple(Variant(v, settings, against=AGAINST.get(v, ())) for v, settings in SETTINGS.items())
    metrics = ("few", "loss_few_gap")
    return Study(
        name=name, title="", question="", variants=variants, against="none", seeds=(0, 1), metrics=metrics,
        judged=("few",),
    )  # fmt: skip


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Rows of two studies that share all runs."""
    lines = [f'"{name}",{seed},abc,{few},{gap}' for name, row in ROWS.items() for seed, (few, gap) in enumerate(row)]
    for name in ("one", "again"):
        (tmp_path / f"{name}.csv").write_text("\n".join(["variant,seed,code,few,loss_few_gap", *lines]))
    monkeypatch.setattr(gain_by_gap, "FOLDER", tmp_path)


@pytest.mark.usefixtures("measured")
def test_each_feedback_is_compared_once_with_the_run_that_differs_in_nothing_else():
    found = list(gain_by_gap.comparisons("digits", [study("one"), study("again"), study("not run")]))
    told = [(c.guidance, c.criterion, c.scale, c.gap[0], c.gain.against) for c in found]
    assert told == [
        (2.25, "hardness", "0.03", pytest.approx(-0.3), "none"),
        (1.0, "entropy", "matched", pytest.approx(0.5), "guidance 1, none"),
    ]
    assert [c.gain.mean for c in found] == [pytest.approx(2.0), pytest.approx(2.0)]


@pytest.mark.usefixtures("measured")
def test_a_comparison_of_two_studies_counts_once_and_those_not_told_by_themselves_are_left_out():
    text = gain_by_gap.together([study("one"), study("again"), study("not run")])
    assert "Of 4 comparisons" in text
    assert text.splitlines()[6:] == ["| one | guidance 1, matched less none | **-9.0 ± 0.0** |"]


def test_the_committed_table_is_that_of_the_committed_rows(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert gain_by_gap.page()[0] == (gain_by_gap.FOLDER / "gain_by_gap.md").read_text()


def test_a_run_is_counted_by_what_its_gap_says_and_its_gain_shows():
    gain = Difference("hardness", "none", "few", mean=-0.25, half=1, p=0.5)
    runs = ((-0.4, 2.0, 0.8), (-0.1, -1.0, 0.8), (0.5, -3.0, 0.8), (0.5, 1.0, 0.8))
    advised = gain_by_gap.Comparison("digits", 2.25, "hardness", "0.03", (0.1, 0.1), gain, runs)
    table = gain_by_gap.foretold([advised, replace(advised, criterion="entropy")], edge=0.29).splitlines()[-3:]
    assert table == [
        "| digits | easier than real | hardness, 0.03 | 1 | 1 | 0 | +2.0 |",
        "| digits | as hard | hardness, 0.03 | 1 | 0 | 1 | -1.0 |",
        "| digits | harder | hardness, 0.03 | 2 | 1 | 1 | -1.0 |",
    ]
